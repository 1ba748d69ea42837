#include "simulator/kernel/event_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <tuple>

#include "simulator/kernel/priorities.h"

namespace touchstone::simulator {
namespace {

TEST(EventQueue, EqualTimesGoByPriorityThenByCreation) {
  EventQueue queue;
  queue.push(5, EventKind::kStepStart, 0, 1);
  queue.push(5, EventKind::kArrival, 0, 2);
  queue.push(5, EventKind::kArrival, 0, 3);
  queue.push(5, EventKind::kAbort, 0, 4);
  queue.push(5, EventKind::kStepEnd, 0, 5);
  queue.push(4, EventKind::kStepStart, 0, 6);
  std::vector<uint64_t> order;
  while (!queue.empty()) order.push_back(queue.pop().subject);
  EXPECT_EQ(order, (std::vector<uint64_t>{6, 5, 4, 2, 3, 1}));
  EXPECT_EQ(queue.now_ns(), 5);
  EXPECT_EQ(queue.events(), 6);
}

TEST(EventQueue, EveryKindHasAPlaceAndAReason) {
  for (const PriorityRow& row : kPriorities) {
    EXPECT_NE(std::string(row.name), "");
    EXPECT_NE(std::string(row.reason), "");
  }
}

TEST(EventQueue, TheFingerprintSeesEveryFieldWhole) {
  const auto print = [](int64_t time_ns, EventKind kind, uint64_t subject, int32_t replica = 0) {
    EventQueue queue;
    queue.push(time_ns, kind, replica, subject);
    queue.push(100, EventKind::kArrival, 0, 0);
    queue.pop();
    queue.pop();
    return queue.fingerprint();
  };
  const uint64_t one = print(1, EventKind::kArrival, 7);
  EXPECT_EQ(one, print(1, EventKind::kArrival, 7));
  EXPECT_NE(one, print(2, EventKind::kArrival, 7));
  EXPECT_NE(one, print(1, EventKind::kAbort, 7));
  EXPECT_NE(one, print(1, EventKind::kArrival, 8));
  EXPECT_NE(one, print(1, EventKind::kArrival, 7, 1));
  EXPECT_NE(one, print(1, EventKind::kArrival, 7, 1 << 30));
  for (int bit = 0; bit < 64; ++bit) {
    EXPECT_NE(one, print(1, EventKind::kArrival, 7 ^ uint64_t{1} << bit)) << bit;
  }
}

TEST(EventQueueDeathTest, TimeNeverGoesBack) {
  EventQueue queue;
  queue.push(10, EventKind::kArrival, 0, 1);
  queue.pop();
  queue.push(10, EventKind::kArrival, 0, 1);
  EXPECT_DEATH(queue.push(9, EventKind::kArrival, 0, 1), "INV-8");
}

RC_GTEST_PROP(EventQueue, GivesWhatAStableSortGives, ()) {
  const auto events = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 9), rc::gen::inRange(0, 4)));
  EventQueue queue;
  std::vector<std::tuple<int, int, size_t>> expected;
  for (size_t i = 0; i < events.size(); ++i) {
    queue.push(events[i].first, static_cast<EventKind>(events[i].second), 0, i);
    expected.emplace_back(events[i].first, events[i].second, i);
  }
  std::sort(expected.begin(), expected.end());
  for (const auto& [time, kind, index] : expected) {
    const Event event = queue.pop();
    RC_ASSERT(event.time_ns == time);
    RC_ASSERT(event.subject == index);
  }
  RC_ASSERT(queue.empty());
}

}  // namespace
}  // namespace touchstone::simulator
