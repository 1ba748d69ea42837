#include "reference_engine/grammar/compiler_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace touchstone::grammar {
namespace {

// Threads whose compilation was given up and still runs. With more of them nothing new is compiled.
constexpr int kGivenUpMax = 4;
// Grammars known to take too long.
constexpr size_t kSlowKeysMax = 1024;
// Compiling leaves the processor to the engine where both want it.
constexpr int kNice = 5;
constexpr int kNiceOfGivenUp = 19;
constexpr const char* kTooManyWait = "Too many grammars wait to be compiled; try again later.";

std::string key_of(const GrammarSpec& spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + (spec.any_whitespace ? "w" : "n");
  const auto add = [&](const std::string& text) {
    key += std::to_string(text.size()) + ":" + text;
  };
  add(spec.text);
  for (const std::string& choice : spec.choices) add(choice);
  return key;
}

Error too_slow(int64_t limit_ns) {
  return invalid_argument("The grammar takes longer than " + std::to_string(limit_ns / kNsPerMs) +
                          " ms to compile, the most that this server gives one");
}

}  // namespace

class CompilerPool::State final : public std::enable_shared_from_this<State> {
 public:
  State(const CompilerOptions& options, Compile compile)
      : options_(options), compile_(std::move(compile)) {}

  void start() {
    const MutexLock lock(mutex_);
    for (int i = 0; i < options_.threads; ++i) start_thread();
    supervisor_ = std::thread([this] { supervise(); });
  }

  void end();
  Status compile(const GrammarSpec& spec, Compiler::Done done);

 private:
  using Callers = std::vector<Compiler::Done>;
  using Told = std::vector<std::pair<Callers, Error>>;
  struct Entry {
    Compiled compiled;
    std::list<std::string>::iterator age;
  };
  /// One thread and what it compiles.
  struct Worker {
    std::thread thread;
    std::string key;  // empty: it waits for work
    int64_t started_ns = 0;
    pid_t id = 0;
    bool given_up = false;
  };

  void start_thread() REQUIRES(mutex_);
  void run(Worker& self);
  bool next(Worker& self, GrammarSpec& spec);
  /// False: the thread ends.
  bool take_in(Worker& self, const Result<Compiled>& compiled);
  void supervise();
  bool is_busy() const REQUIRES(mutex_);
  /// Callers of what has just become too slow, with what they are told; lowers `wait_ns` to when
  /// the next one may.
  Told give_up_slow(int64_t now_ns, int64_t& wait_ns) REQUIRES(mutex_);
  void keep(const std::string& key, const Compiled& compiled) REQUIRES(mutex_);

  const CompilerOptions options_;
  const Compile compile_;
  Mutex mutex_;
  ConditionVariable changed_;
  bool ends_ GUARDED_BY(mutex_) = false;
  std::deque<GrammarSpec> waiting_ GUARDED_BY(mutex_);
  std::map<std::string, Callers> under_way_ GUARDED_BY(mutex_);
  std::map<std::string, Entry> cache_ GUARDED_BY(mutex_);
  std::list<std::string> ages_ GUARDED_BY(mutex_);  // keys of the cache, latest used first
  int64_t cached_bytes_ GUARDED_BY(mutex_) = 0;
  std::list<Worker> workers_ GUARDED_BY(mutex_);
  int given_up_ GUARDED_BY(mutex_) = 0;
  std::set<std::string> slow_ GUARDED_BY(mutex_);
  std::thread supervisor_;
};

void CompilerPool::State::start_thread() {
  Worker& worker = workers_.emplace_back();
  worker.thread = std::thread([self = shared_from_this(), &worker] { self->run(worker); });
}

void CompilerPool::State::run(Worker& self) {
  const pid_t id = gettid();
  (void)setpriority(PRIO_PROCESS, static_cast<id_t>(id), kNice);
  {
    const MutexLock lock(mutex_);
    self.id = id;
  }
  GrammarSpec spec;
  while (next(self, spec)) {
    const Result<Compiled> compiled = compile_(spec);
    if (!take_in(self, compiled)) return;
  }
}

bool CompilerPool::State::next(Worker& self, GrammarSpec& spec) {
  const MutexLock lock(mutex_);
  changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return ends_ || !waiting_.empty(); });
  if (ends_) return false;
  spec = std::move(waiting_.front());
  waiting_.pop_front();
  self.key = key_of(spec);
  self.started_ns = options_.clock->monotonic_ns();
  changed_.notify_all();  // the supervisor has another end to wait for
  return true;
}

bool CompilerPool::State::take_in(Worker& self, const Result<Compiled>& compiled) {
  Callers callers;
  {
    const MutexLock lock(mutex_);
    if (self.given_up) {  // another thread has taken its place
      --given_up_;
      if (self.thread.joinable()) self.thread.detach();
      workers_.remove_if([&](const Worker& each) { return &each == &self; });
      return false;
    }
    if (compiled) keep(self.key, *compiled);
    callers = std::move(under_way_[self.key]);
    under_way_.erase(self.key);
    self.key.clear();
  }
  changed_.notify_all();  // an end of the pool may wait for it
  for (const Compiler::Done& done : callers) {
    if (compiled) {
      done(compiled->grammar);
    } else {
      done(compiled.error());
    }
  }
  return true;
}

/// Until the pool ends and nothing is being compiled any more.
void CompilerPool::State::supervise() {
  while (true) {
    Told told;
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return ends_ || is_busy(); });
      if (!is_busy()) return;
      int64_t wait_ns = options_.limits.compile_time_max_ns;
      told = give_up_slow(options_.clock->monotonic_ns(), wait_ns);
      if (told.empty()) {
        changed_.wait_for(mutex_, wait_ns, [this]() REQUIRES(mutex_) { return !is_busy(); });
      }
    }
    for (const auto& [callers, error] : told) {
      for (const Compiler::Done& done : callers) done(error);
    }
  }
}

bool CompilerPool::State::is_busy() const {
  return std::ranges::any_of(
      workers_, [](const Worker& each) { return !each.key.empty() && !each.given_up; });
}

CompilerPool::State::Told CompilerPool::State::give_up_slow(int64_t now_ns, int64_t& wait_ns) {
  Told told;
  int replaced = 0;
  for (Worker& worker : workers_) {
    if (worker.key.empty() || worker.given_up) continue;
    const int64_t left_ns = worker.started_ns + options_.limits.compile_time_max_ns - now_ns;
    if (left_ns > 0) {
      wait_ns = std::min(wait_ns, left_ns);
      continue;
    }
    worker.given_up = true;
    ++given_up_;
    ++replaced;
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(worker.id), kNiceOfGivenUp);
    told.emplace_back(std::move(under_way_[worker.key]),
                      too_slow(options_.limits.compile_time_max_ns));
    under_way_.erase(worker.key);
    if (slow_.size() >= kSlowKeysMax) slow_.erase(slow_.begin());
    slow_.insert(worker.key);
  }
  for (; replaced > 0; --replaced) start_thread();
  if (given_up_ < kGivenUpMax) return told;
  for (const GrammarSpec& spec : std::exchange(waiting_, {})) {  // nor do these get a turn
    if (auto found = under_way_.extract(key_of(spec))) {
      told.emplace_back(std::move(found.mapped()), unavailable(kTooManyWait));
    }
  }
  return told;
}

void CompilerPool::State::end() {
  std::map<std::string, Callers> left;
  std::vector<std::thread> threads;
  {
    const MutexLock lock(mutex_);
    ends_ = true;
    for (const GrammarSpec& spec : waiting_) {
      if (auto found = under_way_.extract(key_of(spec))) left.insert(std::move(found));
    }
    waiting_.clear();
  }
  changed_.notify_all();
  for (const auto& [key, callers] : left) {
    for (const Compiler::Done& done : callers) done(unavailable("The server is shutting down."));
  }
  supervisor_.join();
  {
    const MutexLock lock(mutex_);
    for (Worker& worker : workers_) {
      if (worker.given_up) {
        if (worker.thread.joinable()) worker.thread.detach();
      } else {
        threads.push_back(std::move(worker.thread));
      }
    }
  }
  for (std::thread& thread : threads) thread.join();
}

Status CompilerPool::State::compile(const GrammarSpec& spec, Compiler::Done done) {
  const std::string key = key_of(spec);
  std::shared_ptr<const CompiledGrammar> ready;
  {
    const MutexLock lock(mutex_);
    if (slow_.contains(key)) return too_slow(options_.limits.compile_time_max_ns);
    if (const auto found = cache_.find(key); found != cache_.end()) {
      ages_.splice(ages_.begin(), ages_, found->second.age);
      ready = found->second.compiled.grammar;
    } else if (const auto same = under_way_.find(key); same != under_way_.end()) {
      same->second.push_back(std::move(done));
      return {};
    } else if (waiting_.size() >= options_.max_pending || given_up_ >= kGivenUpMax || ends_) {
      return unavailable(kTooManyWait);
    } else {
      under_way_[key].push_back(std::move(done));
      waiting_.push_back(spec);
    }
  }
  if (ready != nullptr) {
    done(std::move(ready));
  } else {
    changed_.notify_all();
  }
  return {};
}

void CompilerPool::State::keep(const std::string& key, const Compiled& compiled) {
  ages_.push_front(key);
  cache_[key] = {.compiled = compiled, .age = ages_.begin()};
  cached_bytes_ += compiled.bytes;
  while (cached_bytes_ > options_.cache_bytes_max && ages_.size() > 1) {
    const auto oldest = cache_.find(ages_.back());
    cached_bytes_ -= oldest->second.compiled.bytes;
    cache_.erase(oldest);
    ages_.pop_back();
  }
}

CompilerPool::CompilerPool(const CompilerOptions& options, Compile compile)
    : state_(std::make_shared<State>(options, std::move(compile))) {
  state_->start();
}

CompilerPool::~CompilerPool() { state_->end(); }

Status CompilerPool::compile(const GrammarSpec& spec, Compiler::Done done) {
  return state_->compile(spec, std::move(done));
}

}  // namespace touchstone::grammar
