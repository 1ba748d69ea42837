#include "http/sse.h"

namespace touchstone::http {

bool SseParser::end_line(const std::function<bool(std::string_view)>& on_data) {
  bool go_on = true;
  if (line_.empty()) {
    if (has_data_) go_on = on_data(data_);
    data_.clear();
    has_data_ = false;
  } else if (line_.compare(0, 5, "data:") == 0) {
    if (has_data_) data_ += '\n';
    const size_t begin = line_.size() > 5 && line_[5] == ' ' ? 6 : 5;
    data_.append(line_, begin);
    has_data_ = true;
  }
  line_.clear();
  return go_on;
}

void SseParser::feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_data) {
  for (const char byte : bytes) {
    const bool second_of_pair = after_return_ && byte == '\n';
    after_return_ = byte == '\r';
    if (second_of_pair) continue;
    if (byte != '\n' && byte != '\r') {
      line_ += byte;
      continue;
    }
    if (!end_line(on_data)) return;
  }
}

}  // namespace touchstone::http
