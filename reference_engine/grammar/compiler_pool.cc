#include "reference_engine/grammar/compiler_pool.h"

#include <utility>

namespace touchstone::grammar {
namespace {

std::string key_of(const GrammarSpec& spec) {
  std::string key = std::to_string(static_cast<int>(spec.kind)) + (spec.any_whitespace ? "w" : "n");
  const auto add = [&](const std::string& text) {
    key += std::to_string(text.size()) + ":" + text;
  };
  add(spec.text);
  for (const std::string& choice : spec.choices) add(choice);
  return key;
}

}  // namespace

CompilerPool::CompilerPool(const CompilerOptions& options, Compile compile)
    : options_(options), compile_(std::move(compile)) {
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { run(); });
}

CompilerPool::~CompilerPool() {
  std::map<std::string, std::vector<Compiler::Done>> left;
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
  for (std::thread& thread : threads_) thread.join();
}

Status CompilerPool::compile(const GrammarSpec& spec, Compiler::Done done) {
  const std::string key = key_of(spec);
  std::shared_ptr<const CompiledGrammar> ready;
  {
    const MutexLock lock(mutex_);
    if (const auto found = cache_.find(key); found != cache_.end()) {
      ages_.splice(ages_.begin(), ages_, found->second.age);
      ready = found->second.compiled.grammar;
    } else if (const auto same = under_way_.find(key); same != under_way_.end()) {
      same->second.push_back(std::move(done));
      return {};
    } else if (waiting_.size() >= options_.max_pending || ends_) {
      return unavailable("Too many grammars wait to be compiled; try again later.");
    } else {
      under_way_[key].push_back(std::move(done));
      waiting_.push_back(spec);
    }
  }
  if (ready != nullptr) {
    done(std::move(ready));
  } else {
    changed_.notify_one();
  }
  return {};
}

void CompilerPool::run() {
  while (true) {
    GrammarSpec spec;
    {
      const MutexLock lock(mutex_);
      changed_.wait(mutex_, [this]() REQUIRES(mutex_) { return ends_ || !waiting_.empty(); });
      if (ends_) return;
      spec = std::move(waiting_.front());
      waiting_.pop_front();
    }
    Result<Compiled> compiled = compile_(spec);
    std::vector<Compiler::Done> callers;
    {
      const MutexLock lock(mutex_);
      const std::string key = key_of(spec);
      if (compiled) keep(key, *compiled);
      callers = std::move(under_way_[key]);
      under_way_.erase(key);
    }
    for (const Compiler::Done& done : callers) {
      if (compiled) {
        done(compiled->grammar);
      } else {
        done(compiled.error());
      }
    }
  }
}

void CompilerPool::keep(const std::string& key, const Compiled& compiled) {
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

}  // namespace touchstone::grammar
