#include "reference_engine/model/tensor_pickle.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "base/text.h"

namespace touchstone::model {
namespace {

// A value of the pickle. Shared, because a pickle may put one at several places.
struct Value;
using ValuePtr = std::shared_ptr<Value>;

struct Mark {};
struct Nothing {};  // None, and what carries no tensor
struct Name {       // of a class or function
  std::string text;
};
struct List {  // tuples, too
  std::vector<ValuePtr> items;
};
struct Dict {
  std::map<std::string, ValuePtr> items;
};
struct Storage {
  std::string key;
  DType dtype = DType::kFloat32;
};

struct Value {
  int depth = 0;  // of lists within it
  std::variant<Nothing, Mark, int64_t, std::string, Name, List, Dict, Storage, PickledTensor> is;
};

constexpr size_t kValuesMax = 1 << 22;  // of a pickle; a large model has thousands
constexpr int kDepthMax = 32;
constexpr int kDictsMax = 1000;  // they may hold each other, however deep

template <typename T>
ValuePtr make(T&& value) {
  auto made = std::make_shared<Value>();
  made->is = std::forward<T>(value);
  return made;
}

const std::map<std::string, DType>& storages() {
  static const std::map<std::string, DType> kStorages = {
      {"torch FloatStorage", DType::kFloat32},
      {"torch HalfStorage", DType::kFloat16},
      {"torch BFloat16Storage", DType::kBFloat16}};
  return kStorages;
}

/// The machine of pickle, with a stack and a memory.
class Unpickler final {
 public:
  Unpickler(std::string name, std::span<const std::byte> bytes)
      : name_(std::move(name)), bytes_(bytes) {}

  Result<ValuePtr> run() {
    while (true) {
      if (made_ > kValuesMax) return malformed(name_ + ": the pickle is too large");
      const auto opcode = number(1);
      if (!opcode) return cut_off();
      if (*opcode == '.') return stack_.empty() ? Result<ValuePtr>(cut_off()) : stack_.back();
      RETURN_IF_ERROR(step(static_cast<char>(*opcode)));
    }
  }

 private:
  Error cut_off() const {
    return malformed(name_ + ": the pickle is damaged at byte " + std::to_string(at_));
  }

  std::optional<uint64_t> number(size_t size) {
    if (size > bytes_.size() - at_) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) {
      value = value << 8 | std::to_integer<uint64_t>(bytes_[at_ + i]);
    }
    at_ += size;
    return value;
  }

  std::optional<std::string> text(uint64_t size) {
    if (size > bytes_.size() - at_) return std::nullopt;
    std::string out(reinterpret_cast<const char*>(bytes_.data() + at_), size);
    at_ += size;
    return out;
  }

  std::optional<std::string> line() {
    for (size_t end = at_; end < bytes_.size(); ++end) {
      if (bytes_[end] != std::byte{'\n'}) continue;
      auto out = text(end - at_);
      ++at_;
      return out;
    }
    return std::nullopt;
  }

  void push(ValuePtr value) {
    ++made_;
    stack_.push_back(std::move(value));
  }

  ValuePtr pop() {
    if (stack_.empty()) return nullptr;
    ValuePtr top = std::move(stack_.back());
    stack_.pop_back();
    return top;
  }

  /// What was pushed since the last mark, without it.
  std::optional<std::vector<ValuePtr>> pop_to_mark() {
    for (size_t i = stack_.size(); i-- > 0;) {
      if (!std::holds_alternative<Mark>(stack_[i]->is)) continue;
      std::vector<ValuePtr> items(stack_.begin() + static_cast<ptrdiff_t>(i) + 1, stack_.end());
      stack_.resize(i);
      return items;
    }
    return std::nullopt;
  }

  Status push_integer(std::optional<uint64_t> bits, size_t size) {
    if (!bits) return cut_off();
    // Four bytes are signed, fewer are not.
    const int64_t value = size == 4 ? static_cast<int32_t>(*bits) : static_cast<int64_t>(*bits);
    push(make(value));
    return {};
  }

  Status push_long() {
    const auto size = number(1);
    if (!size || *size > 8) return cut_off();
    const auto bits = number(*size);
    if (!bits) return cut_off();
    uint64_t value = *bits;
    const auto width = static_cast<unsigned>(*size * 8);
    if (width > 0 && width < 64 && (value >> (width - 1) & 1) != 0) value |= ~uint64_t{0} << width;
    push(make(static_cast<int64_t>(value)));
    return {};
  }

  Status push_text(std::optional<uint64_t> size) {
    auto read = size ? text(*size) : std::nullopt;
    if (!read) return cut_off();
    push(make(*std::move(read)));
    return {};
  }

  Status push_list(std::optional<std::vector<ValuePtr>> items) {
    if (!items) return cut_off();
    int depth = 0;
    for (const ValuePtr& item : *items) depth = std::max(depth, item->depth + 1);
    if (depth > kDepthMax) return malformed(name_ + ": the pickle is nested too deeply");
    push(make(List{*std::move(items)}));
    stack_.back()->depth = depth;
    return {};
  }

  Status push_dict() {
    if (++dicts_ > kDictsMax) return malformed(name_ + ": the pickle has too many dictionaries");
    push(make(Dict{}));
    return {};
  }

  Status push_tuple(size_t size) {
    if (stack_.size() < size) return cut_off();
    const auto first = stack_.end() - static_cast<ptrdiff_t>(size);
    std::vector<ValuePtr> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    return push_list(std::move(items));
  }

  Status remember(std::optional<uint64_t> key) {
    if (!key || stack_.empty()) return cut_off();
    memory_[*key] = stack_.back();
    return {};
  }

  Status recall(std::optional<uint64_t> key) {
    const auto found = key ? memory_.find(*key) : memory_.end();
    if (found == memory_.end()) return cut_off();
    push(found->second);
    return {};
  }

  Status set_items(std::optional<std::vector<ValuePtr>> items) {
    if (!items || items->size() % 2 != 0 || stack_.empty()) return cut_off();
    auto* dict = std::get_if<Dict>(&stack_.back()->is);
    if (dict == nullptr) return unsupported("items of something that is no dictionary");
    for (size_t i = 0; i < items->size(); i += 2) {
      const auto* key = std::get_if<std::string>(&(*items)[i]->is);
      if (key == nullptr) return unsupported("a key that is no text");
      dict->items[*key] = (*items)[i + 1];
    }
    return {};
  }

  Error unsupported(const std::string& what) const {
    return {ErrorCode::kUnsupported,
            name_ + ": the pickle holds " + what + ": only tensors are read",
            "convert the folder to safetensors"};
  }

  Status push_name(const std::optional<std::string>& module,
                   const std::optional<std::string>& word) {
    if (!module || !word) return cut_off();
    std::string whole = *module + " " + *word;
    const bool known = whole == "collections OrderedDict" ||
                       whole == "torch._utils _rebuild_tensor_v2" ||
                       whole == "torch._utils _rebuild_parameter" || storages().contains(whole);
    if (!known) return unsupported("the name " + quote(*module + "." + *word));
    push(make(Name{std::move(whole)}));
    return {};
  }

  /// ("storage", type, key, device, elements) stands for a storage.
  Status push_storage() {
    const ValuePtr id = pop();
    const auto* parts = id == nullptr ? nullptr : std::get_if<List>(&id->is);
    if (parts == nullptr || parts->items.size() != 5) return cut_off();
    const auto* type = std::get_if<Name>(&parts->items[1]->is);
    const auto* key = std::get_if<std::string>(&parts->items[2]->is);
    if (type == nullptr || key == nullptr || !storages().contains(type->text)) {
      return unsupported("a storage of an unknown type");
    }
    push(make(Storage{.key = *key, .dtype = storages().at(type->text)}));
    return {};
  }

  std::optional<std::vector<int64_t>> integers(const ValuePtr& value) const {
    const auto* list = std::get_if<List>(&value->is);
    if (list == nullptr) return std::nullopt;
    std::vector<int64_t> out;
    for (const ValuePtr& item : list->items) {
      const auto* integer = std::get_if<int64_t>(&item->is);
      if (integer == nullptr || *integer < 0) return std::nullopt;
      out.push_back(*integer);
    }
    return out;
  }

  /// The call of one of the functions that are known.
  Status reduce() {
    const ValuePtr arguments = pop();
    const ValuePtr function = pop();
    if (arguments == nullptr || function == nullptr) return cut_off();
    const auto* name = std::get_if<Name>(&function->is);
    const auto* list = std::get_if<List>(&arguments->is);
    if (name == nullptr || list == nullptr) return cut_off();
    if (name->text == "collections OrderedDict") return push_dict();
    if (name->text == "torch._utils _rebuild_parameter") {
      if (list->items.empty()) return cut_off();
      push(list->items[0]);
      return {};
    }
    if (name->text != "torch._utils _rebuild_tensor_v2")
      return unsupported("a call of " + name->text);
    if (list->items.size() < 4) return cut_off();
    const auto* storage = std::get_if<Storage>(&list->items[0]->is);
    const auto* first = std::get_if<int64_t>(&list->items[1]->is);
    auto shape = integers(list->items[2]);
    auto strides = integers(list->items[3]);
    if (storage == nullptr || first == nullptr || *first < 0 || !shape || !strides ||
        shape->size() != strides->size()) {
      return cut_off();
    }
    push(make(PickledTensor{.storage = storage->key,
                            .dtype = storage->dtype,
                            .first = *first,
                            .shape = *std::move(shape),
                            .strides = *std::move(strides)}));
    return {};
  }

  Status step(char opcode);
  Status step_of_containers(char opcode);

  const std::string name_;
  const std::span<const std::byte> bytes_;
  size_t at_ = 0;
  size_t made_ = 0;
  int dicts_ = 0;
  std::vector<ValuePtr> stack_;
  std::map<uint64_t, ValuePtr> memory_;
};

Status Unpickler::step(char opcode) {
  switch (opcode) {
    case '\x80':  // PROTO
      return number(1) ? Status() : Status(cut_off());
    case 'N':     // NONE
    case '\x88':  // NEWTRUE
    case '\x89':  // NEWFALSE
      push(make(Nothing{}));
      return {};
    case 'K':  // BININT1
      return push_integer(number(1), 1);
    case 'M':  // BININT2
      return push_integer(number(2), 2);
    case 'J':  // BININT
      return push_integer(number(4), 4);
    case '\x8a':  // LONG1
      return push_long();
    case 'G':  // BINFLOAT
      if (!number(8)) return cut_off();
      push(make(Nothing{}));
      return {};
    case 'X':  // BINUNICODE
      return push_text(number(4));
    case '\x8c':  // SHORT_BINUNICODE
      return push_text(number(1));
    case 'c': {  // GLOBAL
      const auto module = line();
      return push_name(module, line());
    }
    case 'Q':  // BINPERSID
      return push_storage();
    case 'R':  // REDUCE
      return reduce();
    default:
      return step_of_containers(opcode);
  }
}

Status Unpickler::step_of_containers(char opcode) {
  switch (opcode) {
    case '(':  // MARK
      push(make(Mark{}));
      return {};
    case '}':  // EMPTY_DICT
      return push_dict();
    case ']':  // EMPTY_LIST
    case ')':  // EMPTY_TUPLE
      return push_list(std::vector<ValuePtr>());
    case 't':  // TUPLE
      return push_list(pop_to_mark());
    case '\x85':  // TUPLE1
      return push_tuple(1);
    case '\x86':  // TUPLE2
      return push_tuple(2);
    case '\x87':  // TUPLE3
      return push_tuple(3);
    case 'u':  // SETITEMS
      return set_items(pop_to_mark());
    case 's': {  // SETITEM
      const ValuePtr value = pop();
      const ValuePtr key = pop();
      if (value == nullptr || key == nullptr) return cut_off();
      return set_items(std::vector<ValuePtr>{key, value});
    }
    case 'b':  // BUILD: attributes of a dictionary (_metadata), which hold no tensor
      return pop() == nullptr ? Status(cut_off()) : Status();
    case 'q':  // BINPUT
      return remember(number(1));
    case 'r':  // LONG_BINPUT
      return remember(number(4));
    case 'h':  // BINGET
      return recall(number(1));
    case 'j':  // LONG_BINGET
      return recall(number(4));
    default:
      return unsupported("the instruction " + std::to_string(static_cast<unsigned char>(opcode)));
  }
}

/// Tensors by name; those of dictionaries within have their names joined by dots.
Status collect(const std::string& name, const std::string& prefix, const Value& value, int depth,
               std::map<std::string, PickledTensor>& tensors) {
  if (depth > kDepthMax) return malformed(name + ": the pickle is nested too deeply");
  const auto* dict = std::get_if<Dict>(&value.is);
  if (dict == nullptr) return malformed(name + ": expected a dictionary of tensors");
  for (const auto& [key, item] : dict->items) {
    if (const auto* tensor = std::get_if<PickledTensor>(&item->is)) {
      tensors[prefix + key] = *tensor;
    } else if (std::holds_alternative<Dict>(item->is)) {
      RETURN_IF_ERROR(collect(name, prefix + key + ".", *item, depth + 1, tensors));
    }
  }
  return {};
}

}  // namespace

Result<std::map<std::string, PickledTensor>> read_tensor_pickle(const std::string& name,
                                                                std::span<const std::byte> pickle) {
  Unpickler unpickler(name, pickle);
  auto root = unpickler.run();
  if (!root) return std::move(root).error();
  std::map<std::string, PickledTensor> tensors;
  RETURN_IF_ERROR(collect(name, "", **root, 0, tensors));
  return tensors;
}

}  // namespace touchstone::model
