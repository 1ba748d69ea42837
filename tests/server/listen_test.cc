// Where the real server listens: TLS, a Unix socket, and what it refuses to start with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "records/request_record.h"
#include "tests/support/server_process.h"
#include "tests/support/tls_client.h"

namespace touchstone::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kStream =
    R"({"prompt":"To be","max_tokens":20,"temperature":0,"ignore_eos":true,"stream":true})";

class Listening : public ::testing::Test {
 protected:
  Listening() : folder_(TemporaryDirectory::make("listen").value()), own_(make_certificate()) {
    EXPECT_TRUE(write_file_atomic(path("crt"), own_.certificate));
    EXPECT_TRUE(write_file_atomic(path("key"), own_.key));
  }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  static ServerProcessOptions options(std::vector<std::string> flags) {
    ServerProcessOptions made{
        .model = capture_model(), .flags = std::move(flags), .environment = {}};
    made.flags.insert(made.flags.end(),
                      {"--num-gpu-blocks-override", "200", "--max-model-len", "512"});
    return made;
  }
  TemporaryDirectory folder_;
  TestCertificate own_;
};

TEST_F(Listening, OverTlsStreamsAreWholeAndTheLogSaysHttps) {
  ServerProcess server(options({"--ssl-certfile", path("crt"), "--ssl-keyfile", path("key"),
                                "--request-log", "@requests.jsonl"}));
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_THAT(server.log(), HasSubstr("listening on https://"));
  TlsClient::Options trusting;
  trusting.ca_file = path("crt");
  TlsClient client(server.port(), trusting);
  ASSERT_EQ(client.problem(), "");
  ASSERT_TRUE(
      client.send(request_text("POST", "/v1/completions", kStream,
                               {{"content-type", "application/json"}, {"connection", "close"}})));
  EXPECT_THAT(client.read_to_end(), HasSubstr("data: [DONE]"));
  EXPECT_TRUE(client.ended_well()) << client.problem();
  {
    TlsClient gone(server.port(), trusting);
    ASSERT_TRUE(gone.send(request_text(
        "POST", "/v1/completions",
        R"({"prompt":"To be","max_tokens":480,"temperature":0,"ignore_eos":true,"stream":true})",
        {{"content-type", "application/json"}})));
    EXPECT_THAT(gone.read_until("data: "), HasSubstr("200 OK"));
  }
  EXPECT_EQ(server.stop(), 0) << server.log();
  const auto records = records::read_request_records(server.path("requests.jsonl"));
  ASSERT_TRUE(records) << records.error().message;
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ(records->at(1).outcome, records::Outcome::kAbort) << "its client hung up";
}

TEST_F(Listening, OnAUnixSocketItServesAndLeavesNoFile) {
  ServerProcessOptions wanted = options({"--uds", path("socket")});
  ServerProcess server(wanted);
  ASSERT_TRUE(server.ready()) << server.problem();
  EXPECT_THAT(server.log(), HasSubstr("listening on unix:" + path("socket")));
  const HttpAnswer answer = HttpClient(path("socket")).post("/v1/completions", kStream);
  EXPECT_EQ(event_data(answer.body).back(), "[DONE]");
  EXPECT_EQ(server.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(path("socket")));
}

}  // namespace
}  // namespace touchstone::testing
