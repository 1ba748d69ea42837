#include "records/server_description.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace touchstone::records {
namespace {

TEST(ServerDescription, FlagsAreTyped) {
  const Settings flags = flags_of_command({"vllm", "serve", "model", "--max-num-seqs", "16",
                                           "--gpu-memory-utilization=0.9", "--enable-x", "--no-y",
                                           "--name=a b", "--eager=true"});
  EXPECT_EQ(flags, (Settings{{"max_num_seqs", int64_t{16}},
                             {"gpu_memory_utilization", 0.9},
                             {"enable_x", true},
                             {"y", false},
                             {"name", std::string("a b")},
                             {"eager", true}}));
}

TEST(ServerDescription, WhatIsWrittenIsRead) {
  ServerDescription server;
  server.engine = "vllm";
  server.version = "0.32.0";
  server.description = "a load";
  server.flags = {{"block_size", int64_t{16}}, {"dtype", std::string("float32")}, {"x", true}};
  server.hardware = this_hardware();
  const auto folder = TemporaryDirectory::make("touchstone-server-json");
  ASSERT_TRUE(folder);
  const std::string path = folder->path() + "/server.json";
  ASSERT_TRUE(write_file_atomic(path, server_json(server)));
  const auto read = read_server_description(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->engine, server.engine);
  EXPECT_EQ(read->version, server.version);
  EXPECT_EQ(read->description, server.description);
  EXPECT_EQ(read->flags, server.flags);
  EXPECT_EQ(read->model, server.model);
  EXPECT_EQ(read->hardware, server.hardware);
}

}  // namespace
}  // namespace touchstone::records
