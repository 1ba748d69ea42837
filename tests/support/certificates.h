// X.509 certificates made for a test: fresh keys, valid for an hour. Values.
#pragma once

#include <string>

namespace touchstone::testing {

struct TestCertificate {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM
};

/// One that signs itself, for `localhost` and 127.0.0.1; it may sign others.
TestCertificate make_certificate(const std::string& common_name = "localhost");
/// One of a client, signed by `authority`.
TestCertificate make_client_certificate(const TestCertificate& authority,
                                        const std::string& common_name);

}  // namespace touchstone::testing
