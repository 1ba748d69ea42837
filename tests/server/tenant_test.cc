#include "reference_engine/server/tenant.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/files.h"
#include "base/sha256.h"

namespace touchstone::server {
namespace {

class Tenants : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::make("tenants");
    ASSERT_TRUE(made);
    folder_.emplace(*std::move(made));
  }
  Result<ApiKeyTable> read(const std::string& text) {
    const std::string path = folder_->path() + "/keys.yaml";
    EXPECT_TRUE(write_file_atomic(path, text));
    return ApiKeyTable::read(path);
  }
  std::optional<TemporaryDirectory> folder_;
};

TEST_F(Tenants, ComeFromTheFirstSourceThatKnows) {
  const auto keys = read("tenants:\n  acme: {api_keys: [sk-1, \"sha256:" + sha256_hex("sk-2") +
                         "\"]}\n  zeta: {api_keys: [sk-3]}\n");
  ASSERT_TRUE(keys) << keys.error().message;
  struct Row {
    const char* sources;
    http::HttpHeaders headers;
    const char* user;
    const char* tenant;
  };
  const std::string long_name(kTenantBytesMax + 1, 'a');
  for (const Row& row : {
           Row{"", {{"x-tenant", "t"}}, "u", ""},
           Row{"user", {}, "u", "u"},
           Row{"header:X-Tenant,user", {{"x-tenant", "t"}}, "u", "t"},
           Row{"header:X-Tenant,user", {}, "u", "u"},
           Row{"header:X-Tenant,user", {{"x-tenant", ""}}, "u", "u"},
           Row{"header:X-Tenant,user", {{"x-tenant", "a\tb"}}, "u", "u"},
           Row{"header:X-Tenant,user", {{"x-tenant", "\xff\xfe"}}, "u", "u"},
           Row{"header:X-Tenant, user", {{"x-tenant", long_name}}, "u", "u"},
           Row{"api-key", {{"authorization", "Bearer sk-1"}}, "u", "acme"},
           Row{"api-key", {{"authorization", "bearer sk-2"}}, "u", "acme"},
           Row{"api-key", {{"authorization", "Bearer sk-3"}}, "u", "zeta"},
           Row{"api-key", {{"authorization", "Bearer sk-4"}}, "u", ""},
           Row{"api-key", {{"authorization", "sk-1"}}, "u", ""},
           Row{"baggage:tenant.id",
               {{"baggage", "a=1, tenant.id=M%C3%BCller;p=1,b=2"}},
               "",
               "Müller"},
           Row{"baggage:tenant.id", {{"baggage", "a=1"}}, "u", ""},
       }) {
    const auto sources = TenantSources::parse(row.sources);
    ASSERT_TRUE(sources) << row.sources;
    http::HttpRequest request;
    request.headers = row.headers;
    EXPECT_EQ(sources->tenant_of(request, row.user, *keys), row.tenant) << row.sources;
  }
  for (const char* bad : {"users", "header:", "baggage", ",", "user,"}) {
    EXPECT_FALSE(TenantSources::parse(bad)) << bad;
  }
}

TEST_F(Tenants, ABadKeyTableIsRefusedWithItsPlace) {
  struct Row {
    const char* text;
    const char* message;
  };
  for (const Row& row :
       {Row{"tenants:\n  a: {api_keys: [k]}\n  b: {api_keys: [k]}\n",
            "got a key that \"a\" has too"},
        Row{"tenants:\n  a: {api_keys: [\"sha256:12\"]}\n", "expected 64 hex digits"},
        Row{"tenants:\n  a: {keys: [k]}\n", "keys"},
        Row{"tenants:\n  a: {api_keys: 3}\n", "api_keys"}}) {
    const auto table = read(row.text);
    ASSERT_FALSE(table) << row.text;
    EXPECT_NE(table.error().message.find(row.message), std::string::npos) << table.error().message;
  }
}

}  // namespace
}  // namespace touchstone::server
