#include "tests/support/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <memory>

namespace touchstone::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

Bio memory(const std::string& text = {}) {
  return {text.empty() ? BIO_new(BIO_s_mem())
                       : BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
          BIO_free};
}

void extend(X509* certificate, int kind, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

/// Without issuer and signature.
Certificate unsigned_certificate(EVP_PKEY* key, const std::string& common_name) {
  Certificate certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  const auto* name = reinterpret_cast<const unsigned char*>(common_name.c_str());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC, name, -1,
                             -1, 0);
  return certificate;
}

TestCertificate in_pem(X509* certificate, EVP_PKEY* key) {
  const Bio first = memory();
  const Bio second = memory();
  PEM_write_bio_X509(first.get(), certificate);
  PEM_write_bio_PrivateKey(second.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return {.certificate = text_of(first.get()), .key = text_of(second.get())};
}

}  // namespace

TestCertificate make_certificate(const std::string& common_name) {
  const Key key(EVP_RSA_gen(2048), EVP_PKEY_free);
  const Certificate certificate = unsigned_certificate(key.get(), common_name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
  extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  return in_pem(certificate.get(), key.get());
}

TestCertificate make_client_certificate(const TestCertificate& authority,
                                        const std::string& common_name) {
  const Bio signer_text = memory(authority.certificate);
  const Bio signer_key_text = memory(authority.key);
  const Certificate signer(PEM_read_bio_X509(signer_text.get(), nullptr, nullptr, nullptr),
                           X509_free);
  const Key signer_key(PEM_read_bio_PrivateKey(signer_key_text.get(), nullptr, nullptr, nullptr),
                       EVP_PKEY_free);
  const Key key(EVP_RSA_gen(2048), EVP_PKEY_free);
  const Certificate certificate = unsigned_certificate(key.get(), common_name);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer.get()));
  X509_sign(certificate.get(), signer_key.get(), EVP_sha256());
  return in_pem(certificate.get(), key.get());
}

}  // namespace touchstone::testing
