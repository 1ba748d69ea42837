// tokenizer.json files. What loads also encodes and decodes.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/text.h"
#include "reference_engine/tokenizer/detokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace touchstone::tokenizer;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = Tokenizer::parse(text);
  if (!tokenizer) {
    BASE_CHECK(!tokenizer.error().message.empty());
    return 0;
  }
  for (const std::string_view input :
       {text.substr(0, 200), std::string_view(" hello\n world's 12\xFF\u00e9")}) {
    const auto ids = (*tokenizer)->encode(input, true);
    BASE_CHECK(touchstone::is_valid_utf8((*tokenizer)->decode(ids, false)));
    Detokenizer detokenizer(**tokenizer, {.stop = {"lo"}});
    for (const int32_t id : ids) {
      if (detokenizer.add(id)) break;
    }
    detokenizer.finish();
    BASE_CHECK(touchstone::is_valid_utf8(detokenizer.take_delta()));
  }
  return 0;
}
