#include "conformance/span_ids.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <tuple>
#include <utility>

#include "base/bucket_sort.h"

namespace touchstone::conformance {
namespace {

constexpr size_t kSlotsAtFirst = 1024;
constexpr size_t kPageEntries = 128;  // 4 KiB
constexpr size_t kRunsMerged = 8;     // of one tier become one of the next

/// The finalizer of SplitMix64: different words stay different.
uint64_t mixed(uint64_t word) {
  word += 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

uint64_t word_of(const uint8_t* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

uint64_t key_of(const SpanId& id) { return mixed(word_of(id.bytes.data())); }

}  // namespace

/// A Bloom filter over the keys in the file, each within one cache line. Its size is fixed: with
/// more spans than it was made for (2^25 or so) searches of the file become frequent, nothing else.
class SpanIds::Filter final {
 public:
  void add(uint64_t key) {
    uint64_t* const words = line_of(key);
    for (int i = 0; i < kBits; ++i) words[word(key, i)] |= bit(key, i);
  }
  bool may_have(uint64_t key) const {
    const uint64_t* const words = line_of(key);
    for (int i = 0; i < kBits; ++i) {
      if ((words[word(key, i)] & bit(key, i)) == 0) return false;
    }
    return true;
  }
  void prefetch(uint64_t key) const { __builtin_prefetch(line_of(key)); }

 private:
  static constexpr int kLinesLog2 = 19;  // of 64 bytes: 32 MiB
  static constexpr int kBits = 4;
  const uint64_t* line_of(uint64_t key) const { return &words_[(key >> (64 - kLinesLog2)) * 8]; }
  uint64_t* line_of(uint64_t key) { return &words_[(key >> (64 - kLinesLog2)) * 8]; }
  static size_t word(uint64_t key, int i) { return key >> (9 * i) & 7; }
  static uint64_t bit(uint64_t key, int i) { return uint64_t{1} << (key >> (9 * i + 3) & 63); }

  std::vector<uint64_t> words_ = std::vector<uint64_t>(size_t{8} << kLinesLog2);
};

/// The entries of a run, one after the other.
class SpanIds::RunReader final {
 public:
  RunReader(SpanIds& ids, const Run& run) : ids_(&ids), offset_(run.offset), left_(run.count) {}

  const Entry* current() const { return at_ < page_.size() ? &page_[at_] : nullptr; }
  /// To the first entry at first; current() is null at the end.
  Status next() {
    if (++at_ < page_.size()) return {};
    const uint64_t count = std::min<uint64_t>(left_, 16 * kPageEntries);
    RETURN_IF_ERROR(ids_->read_entries(offset_, count, page_));
    offset_ += count * sizeof(Entry);
    left_ -= count;
    at_ = 0;
    return {};
  }

 private:
  SpanIds* ids_;
  uint64_t offset_;
  uint64_t left_;
  std::vector<Entry> page_;
  size_t at_ = 0;
};

uint64_t SpanIds::Entry::key() const {
  const uint64_t of_id = key_of(id);
  if (is_first()) return of_id;
  return mixed(of_id ^ mixed(word_of(trace.bytes.data())) ^ word_of(trace.bytes.data() + 8));
}

bool SpanIds::Entry::operator<(const Entry& other) const {
  const uint64_t mine = key();
  const uint64_t others = other.key();
  if (mine != others) return mine < others;
  if (is_first() != other.is_first()) return other.is_first();
  // Of those under their id alone, ids are different; of the others, ids or traces.
  return is_first() ? id < other.id : std::tie(id, trace) < std::tie(other.id, other.trace);
}

bool SpanIds::Entry::is_at_place_of(const Entry& other) const {
  return id == other.id && is_first() == other.is_first() && (is_first() || trace == other.trace);
}

SpanIds::SpanIds(size_t in_memory) : in_memory_(std::max<size_t>(1, in_memory)) {}
SpanIds::~SpanIds() = default;

void SpanIds::prefetch(const SpanId& id) const {
  const uint64_t key = key_of(id);
  if (!slots_.empty()) __builtin_prefetch(&slots_[key & (slots_.size() - 1)]);
  if (filter_ != nullptr) filter_->prefetch(key);
}

Result<SpanIds::Sighting> SpanIds::add(const TraceId& trace, const SpanId& id,
                                       uint64_t content_hash) {
  Entry entry{id, trace, content_hash | 1};
  auto first = find(entry);
  if (!first) return std::move(first).error();
  if (!*first) {
    RETURN_IF_ERROR(insert(entry));
    return Sighting{};
  }
  const TraceId first_trace = (*first)->trace;
  const auto again = [&](const Entry& known) {
    const bool same = known.content >> 1 == content_hash >> 1;
    return Sighting{same ? Seen::kDelivered : Seen::kReused, first_trace};
  };
  if (first_trace == trace) return again(**first);
  entry.content ^= 1;
  auto own = find(entry);
  if (!own) return std::move(own).error();
  if (*own) return again(**own);
  RETURN_IF_ERROR(insert(entry));
  return Sighting{Seen::kNewButShared, first_trace};
}

Result<std::optional<SpanIds::Entry>> SpanIds::find(const Entry& wanted) {
  const uint64_t key = wanted.key();
  if (!slots_.empty()) {
    const size_t mask = slots_.size() - 1;
    for (size_t at = key & mask; slots_[at].entry != 0; at = (at + 1) & mask) {
      if (slots_[at].key != key >> 32) continue;
      const Entry& entry = entries_[slots_[at].entry - 1];
      if (entry.is_at_place_of(wanted)) return std::optional(entry);
    }
  }
  if (filter_ == nullptr || !filter_->may_have(key)) return std::optional<Entry>();
  for (const Run& run : runs_) {
    auto found = find_in(run, wanted);
    if (!found || *found) return found;
  }
  return std::optional<Entry>();
}

/// Keys spread evenly, so a guess between the bounds is mostly off by a page or less; where they do
/// not, halving is sure.
Result<std::optional<SpanIds::Entry>> SpanIds::find_in(const Run& run, const Entry& wanted) {
  constexpr int kGuesses = 4;
  const uint64_t key = wanted.key();
  uint64_t low = 0;  // entries [low, high), with keys from low_key to high_key
  uint64_t high = run.count;
  uint64_t low_key = 0;
  uint64_t high_key = UINT64_MAX;
  for (int step = 0; low < high; ++step) {
    const double part =
        static_cast<double>(key - low_key) / std::max(1.0, static_cast<double>(high_key - low_key));
    const uint64_t middle =
        low + static_cast<uint64_t>((step < kGuesses ? std::min(part, 1.0) : 0.5) *
                                    static_cast<double>(high - low));
    const uint64_t last = high - std::min<uint64_t>(high - low, kPageEntries);
    const uint64_t begin =
        std::clamp<uint64_t>(middle - std::min<uint64_t>(middle, kPageEntries / 2), low, last);
    const uint64_t count = std::min<uint64_t>(kPageEntries, high - begin);
    RETURN_IF_ERROR(read_entries(run.offset + begin * sizeof(Entry), count, page_));
    if (wanted < page_.front()) {
      high = begin;
      high_key = page_.front().key();
    } else if (page_.back() < wanted) {
      low = begin + count;
      low_key = page_.back().key();
    } else {
      const auto found = std::lower_bound(page_.begin(), page_.end(), wanted);
      if (!found->is_at_place_of(wanted)) return std::optional<Entry>();
      return std::optional(*found);
    }
  }
  return std::optional<Entry>();
}

void SpanIds::put_slot(uint64_t key, size_t entry) {
  const size_t mask = slots_.size() - 1;
  size_t at = key & mask;
  while (slots_[at].entry != 0) at = (at + 1) & mask;
  slots_[at] = {static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(entry + 1)};
}

Status SpanIds::insert(const Entry& entry) {
  if (entries_.size() == in_memory_) RETURN_IF_ERROR(spill());
  entries_.push_back(entry);
  if (entries_.size() * 2 <= slots_.size()) {
    put_slot(entry.key(), entries_.size() - 1);
    return {};
  }
  slots_.assign(slots_.empty() ? kSlotsAtFirst : slots_.size() * 2, {});
  for (size_t i = 0; i < entries_.size(); ++i) put_slot(entries_[i].key(), i);
  return {};
}

Status SpanIds::read_entries(uint64_t offset, uint64_t count, std::vector<Entry>& entries) {
  entries.resize(static_cast<size_t>(count));
  const auto bytes = std::as_writable_bytes(std::span(entries));
  return file_->read(offset, {reinterpret_cast<char*>(bytes.data()), bytes.size()});
}

Status SpanIds::write_entry(const Entry& entry) {
  return file_->append({reinterpret_cast<const char*>(&entry), sizeof entry});
}

/// What is in memory becomes a run.
Status SpanIds::spill() {
  if (file_ == nullptr) {
    auto file = SpillFile::make();
    if (!file) return std::move(file).error();
    file_ = *std::move(file);
    filter_ = std::make_unique<Filter>();
  }
  struct Ref {
    uint64_t key;
    const Entry* entry;
  };
  std::vector<Ref> refs;
  refs.reserve(entries_.size());
  for (const Entry& entry : entries_) refs.push_back({entry.key(), &entry});
  bucket_sort(
      refs, [](const Ref& ref) { return ref.key; },
      [](const Ref& a, const Ref& b) {
        return a.key != b.key ? a.key < b.key : *a.entry < *b.entry;
      });
  runs_.push_back({file_->size(), entries_.size(), 0});
  for (const Ref& ref : refs) {
    filter_->add(ref.key);
    RETURN_IF_ERROR(write_entry(*ref.entry));
  }
  entries_.clear();
  std::fill(slots_.begin(), slots_.end(), Slot{});
  return merge_runs();
}

/// So that a search has few runs to look at, however many spans there are.
Status SpanIds::merge_runs() {
  while (runs_.size() >= kRunsMerged &&
         runs_[runs_.size() - kRunsMerged].tier == runs_.back().tier) {
    const auto begin = runs_.end() - kRunsMerged;
    std::vector<RunReader> readers;
    for (auto run = begin; run != runs_.end(); ++run) {
      readers.emplace_back(*this, *run);
      RETURN_IF_ERROR(readers.back().next());
    }
    Run merged{file_->size(), 0, begin->tier + 1};
    for (;;) {
      RunReader* least = nullptr;
      for (RunReader& reader : readers) {
        if (reader.current() == nullptr) continue;
        if (least == nullptr || *reader.current() < *least->current()) least = &reader;
      }
      if (least == nullptr) break;
      RETURN_IF_ERROR(write_entry(*least->current()));
      ++merged.count;
      RETURN_IF_ERROR(least->next());
    }
    for (auto run = begin; run != runs_.end(); ++run) {
      file_->discard(run->offset, run->offset + run->count * sizeof(Entry));
    }
    runs_.erase(begin, runs_.end());
    runs_.push_back(merged);
  }
  return {};
}

}  // namespace touchstone::conformance
