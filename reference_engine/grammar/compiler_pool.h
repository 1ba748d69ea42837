// The threads that compile, a cache of what they made, and the limits on what waits. Knows nothing
// of xgrammar: what compiles is handed in. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "reference_engine/grammar/compiler.h"

namespace touchstone::grammar {

struct Compiled {
  std::shared_ptr<const CompiledGrammar> grammar;
  int64_t bytes = 0;
};

class CompilerPool final {
 public:
  using Compile = std::function<Result<Compiled>(const GrammarSpec& spec)>;

  CompilerPool(const CompilerOptions& options, Compile compile);
  /// Lets what is being compiled end; what waits is told that nothing comes of it.
  ~CompilerPool();
  CompilerPool(const CompilerPool&) = delete;
  CompilerPool& operator=(const CompilerPool&) = delete;

  /// See Compiler::compile(). Requests for a grammar that is under way share it.
  Status compile(const GrammarSpec& spec, Compiler::Done done);

 private:
  struct Entry {
    Compiled compiled;
    std::list<std::string>::iterator age;
  };

  void run();
  void keep(const std::string& key, const Compiled& compiled) REQUIRES(mutex_);

  const CompilerOptions options_;
  const Compile compile_;
  Mutex mutex_;
  ConditionVariable changed_;
  bool ends_ GUARDED_BY(mutex_) = false;
  std::deque<GrammarSpec> waiting_ GUARDED_BY(mutex_);
  std::map<std::string, std::vector<Compiler::Done>> under_way_ GUARDED_BY(mutex_);
  std::map<std::string, Entry> cache_ GUARDED_BY(mutex_);
  std::list<std::string> ages_ GUARDED_BY(mutex_);  // keys of the cache, latest used first
  int64_t cached_bytes_ GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_;
};

}  // namespace touchstone::grammar
