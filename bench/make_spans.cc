// make_spans FILE MEGABYTES: a file of spans to audit, the same each time.
#include <cstdio>

#include "base/text.h"
#include "bench/span_file.h"

int main(int argc, char** argv) {
  const auto megabytes = argc == 3 ? touchstone::parse_int(argv[2]) : std::nullopt;
  if (!megabytes || *megabytes < 1) {
    std::fprintf(stderr, "usage: make_spans FILE MEGABYTES\n");
    return 2;
  }
  const auto spans =
      touchstone::bench::write_span_file(argv[1], static_cast<uint64_t>(*megabytes) * 1'000'000);
  if (!spans) {
    std::fprintf(stderr, "make_spans: %s\n", spans.error().message.c_str());
    return 3;
  }
  std::printf("%lld spans\n", static_cast<long long>(*spans));
  return 0;
}
