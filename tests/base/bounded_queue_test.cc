#include "base/bounded_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace touchstone {
namespace {

TEST(BoundedQueue, AFullOrClosedQueueRefusesAndKeepsTheValueWithItsOwner) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  auto first = std::make_unique<int>(1);
  auto second = std::make_unique<int>(2);
  EXPECT_TRUE(queue.try_push(first));
  EXPECT_FALSE(queue.try_push(second));
  EXPECT_EQ(*second, 2);
  EXPECT_EQ(queue.take_all().size(), 1u);
  queue.close();
  EXPECT_FALSE(queue.try_push(second));
  EXPECT_EQ(*second, 2);
}

TEST(BoundedQueue, ClosingWakesAWaiterAfterWhatIsQueued) {
  BoundedQueue<int> queue(100);
  int taken = 0;
  std::thread consumer([&] {
    while (true) {
      const std::vector<int> items = queue.wait_and_take_all();
      if (items.empty()) return;
      taken += static_cast<int>(items.size());
    }
  });
  for (int i = 0; i < 1'000; ++i) {
    while (true) {
      int value = i;
      if (queue.try_push(value)) break;
      std::this_thread::yield();
    }
  }
  queue.close();
  consumer.join();
  EXPECT_EQ(taken, 1'000);
}

}  // namespace
}  // namespace touchstone
