#include "base/record_sorter.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

#include "base/bucket_sort.h"
#include "base/check.h"

namespace touchstone {
namespace {

using Size = uint32_t;  // of a record, before it
constexpr size_t kBlockBytes = size_t{1} << 18;
constexpr size_t kCursorBytes = size_t{1} << 16;
constexpr size_t kRunsAtOnce = 128;  // that are merged; each has a buffer

uint64_t prefix_of(std::string_view record, size_t key_bytes) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < std::min<size_t>(8, key_bytes); ++i) {
    prefix |= uint64_t{static_cast<unsigned char>(record[i])} << (56 - 8 * i);
  }
  return prefix;
}

std::string_view size_bytes(const Size& size) {
  return {reinterpret_cast<const char*>(&size), sizeof size};
}

}  // namespace

/// The records of one run, one after the other.
class RecordSorter::Cursor final {
 public:
  Cursor(SpillFile& file, Run run) : file_(&file), at_(run.begin), end_(run.end) {}

  /// False at the run's end.
  Result<bool> next() {
    RETURN_IF_ERROR(have(sizeof(Size)));
    if (buffered() < sizeof(Size)) return false;
    Size size = 0;
    std::memcpy(&size, buffer_.data() + used_, sizeof size);
    RETURN_IF_ERROR(have(sizeof size + size));
    record_ = {buffer_.data() + used_ + sizeof size, size};
    used_ += sizeof size + size;
    return true;
  }
  std::string_view record() const { return record_; }

 private:
  size_t buffered() const { return buffer_.size() - used_; }
  /// So many bytes in the buffer, unless the run ends before.
  Status have(size_t bytes) {
    if (buffered() >= bytes || at_ == end_) return {};
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
    const size_t old = buffer_.size();
    const size_t more =
        static_cast<size_t>(std::min<uint64_t>(std::max(kCursorBytes, bytes) - old, end_ - at_));
    buffer_.resize(old + more);
    RETURN_IF_ERROR(file_->read(at_, std::span<char>(buffer_).subspan(old)));
    at_ += more;
    return {};
  }

  SpillFile* file_;
  uint64_t at_;
  uint64_t end_;
  std::vector<char> buffer_;
  size_t used_ = 0;
  std::string_view record_;
};

/// Several runs as one.
class RecordSorter::Merge final {
 public:
  Merge(SpillFile& file, std::span<const Run> runs, size_t key_bytes) : key_bytes_(key_bytes) {
    cursors_.reserve(runs.size());
    for (const Run& run : runs) cursors_.emplace_back(file, run);
  }

  Status visit(const std::function<Status(std::string_view)>& visit) {
    for (size_t i = 0; i < cursors_.size(); ++i) RETURN_IF_ERROR(advance(i));
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), Later{this});
      const size_t cursor = heap_.back().cursor;
      heap_.pop_back();
      RETURN_IF_ERROR(visit(cursors_[cursor].record()));
      RETURN_IF_ERROR(advance(cursor));
    }
    return {};
  }

 private:
  struct Head {
    uint64_t prefix;
    size_t cursor;
  };
  struct Later {
    const Merge* merge;
    bool operator()(const Head& a, const Head& b) const { return merge->is_later(a, b); }
  };

  Status advance(size_t cursor) {
    const Result<bool> there = cursors_[cursor].next();
    if (!there) return there.error();
    if (!*there) return {};
    heap_.push_back({prefix_of(cursors_[cursor].record(), key_bytes_), cursor});
    std::push_heap(heap_.begin(), heap_.end(), Later{this});
    return {};
  }
  bool is_later(const Head& a, const Head& b) const {
    if (a.prefix != b.prefix) return a.prefix > b.prefix;
    const int order = std::memcmp(cursors_[a.cursor].record().data(),
                                  cursors_[b.cursor].record().data(), key_bytes_);
    return order != 0 ? order > 0 : a.cursor > b.cursor;
  }

  const size_t key_bytes_;
  std::vector<Cursor> cursors_;
  std::vector<Head> heap_;
};

std::string_view RecordSorter::record_of(const Ref& ref) const {
  const char* at = blocks_[ref.block].data() + ref.offset;
  Size size = 0;
  std::memcpy(&size, at, sizeof size);
  return {at + sizeof size, size};
}

Status RecordSorter::add(std::string_view record) {
  BASE_CHECK(record.size() >= options_.key_bytes && record.size() <= UINT32_MAX, record.size());
  const size_t bytes = sizeof(Size) + record.size();
  if (used_bytes_ + bytes + sizeof(Ref) > options_.memory_bytes && !refs_.empty()) {
    RETURN_IF_ERROR(spill());
  }
  const bool fits = used_blocks_ > 0 && blocks_[used_blocks_ - 1].size() + bytes <=
                                            blocks_[used_blocks_ - 1].capacity();
  if (!fits) {
    if (used_blocks_ == blocks_.size()) blocks_.emplace_back();
    blocks_[used_blocks_].reserve(std::max(kBlockBytes, bytes));
    ++used_blocks_;
  }
  std::vector<char>& block = blocks_[used_blocks_ - 1];
  refs_.push_back({prefix_of(record, options_.key_bytes), static_cast<uint32_t>(used_blocks_ - 1),
                   static_cast<uint32_t>(block.size())});
  const auto size = static_cast<Size>(record.size());
  const std::string_view before = size_bytes(size);
  block.insert(block.end(), before.begin(), before.end());
  block.insert(block.end(), record.begin(), record.end());
  used_bytes_ += bytes + sizeof(Ref);
  return {};
}

void RecordSorter::sort_memory() {
  const auto less = [this](const Ref& a, const Ref& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    const int order = std::memcmp(record_of(a).data(), record_of(b).data(), options_.key_bytes);
    if (order != 0) return order < 0;
    return std::tie(a.block, a.offset) < std::tie(b.block, b.offset);
  };
  bucket_sort(
      refs_, [](const Ref& ref) { return ref.prefix; }, less);
}

/// What is in memory becomes a run.
Status RecordSorter::spill() {
  if (file_ == nullptr) {
    auto file = SpillFile::make();
    if (!file) return std::move(file).error();
    file_ = *std::move(file);
  }
  sort_memory();
  Run run{file_->size(), 0};
  for (const Ref& ref : refs_) {
    const std::string_view record = record_of(ref);
    RETURN_IF_ERROR(file_->append({record.data() - sizeof(Size), sizeof(Size) + record.size()}));
  }
  run.end = file_->size();
  runs_.push_back(run);
  refs_.clear();
  for (std::vector<char>& block : blocks_) block.clear();
  used_blocks_ = 0;
  used_bytes_ = 0;
  return {};
}

/// The first runs become one, so that not too many have to be read at once.
Status RecordSorter::merge_some() {
  const auto some = std::span<const Run>(runs_).first(kRunsAtOnce);
  Run merged{file_->size(), 0};
  const auto append = [this](std::string_view record) -> Status {
    const auto size = static_cast<Size>(record.size());
    RETURN_IF_ERROR(file_->append(size_bytes(size)));
    return file_->append(record);
  };
  Merge merge(*file_, some, options_.key_bytes);
  RETURN_IF_ERROR(merge.visit(append));
  merged.end = file_->size();
  for (const Run& run : some) file_->discard(run.begin, run.end);
  runs_.erase(runs_.begin() + 1, runs_.begin() + kRunsAtOnce);
  runs_[0] = merged;
  return {};
}

Status RecordSorter::visit_sorted(const std::function<Status(std::string_view)>& visit) {
  if (runs_.empty()) {
    sort_memory();
    for (const Ref& ref : refs_) RETURN_IF_ERROR(visit(record_of(ref)));
    return {};
  }
  if (!refs_.empty()) RETURN_IF_ERROR(spill());
  refs_ = {};
  blocks_ = {};
  while (runs_.size() > kRunsAtOnce) RETURN_IF_ERROR(merge_some());
  Merge merge(*file_, runs_, options_.key_bytes);
  return merge.visit(visit);
}

}  // namespace touchstone
