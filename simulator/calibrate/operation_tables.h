// Measured times of single operations on one card, as NVIDIA's AIConfigurator publishes them, cut
// to files of comma-separated values (plain or gzip), latencies in milliseconds:
//
//   SYSTEM.gemm.DTYPE.csv                  m, n, k, latency
//   SYSTEM.context_attention.DTYPE.csv     batch_size, isl, step, num_heads, num_key_value_heads,
//   SYSTEM.generation_attention.DTYPE.csv    head_dim, latency
//   SYSTEM.yaml                            rates of the card and its links
//
// Values; thread-compatible.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "simulator/steptime/grid.h"

namespace touchstone::simulator {

/// A matrix product's time, between measured shapes by straight lines.
class GemmTimes final {
 public:
  /// Adds a measured point; nanoseconds. Call settle() after the last.
  void add(double m, double n, double k, double ns) { points_[{n, k}][m] = ns; }
  /// ERRORS: kInvalidArgument when there is no point at all.
  Status settle();
  /// tokens x inputs times inputs x outputs, in nanoseconds.
  double at(double tokens, double outputs, double inputs) const;
  /// The measured numbers of tokens.
  const std::vector<double>& tokens() const { return tokens_; }

 private:
  std::map<std::pair<double, double>, std::map<double, double>> points_;
  std::vector<double> tokens_;
  std::vector<Grid> by_tokens_;  // outputs x inputs, for each of tokens_
};

struct OperationTables {
  GemmTimes gemm;
  Grid context_attention;          ///< 1 x new tokens of one sequence, one layer
  Grid generation_attention;       ///< sequences x tokens that each reads, one layer
  double memory_bytes_per_ns = 0;  ///< sustained
  double operation_ns = 0;         ///< of any operation, however small
  double link_bytes_per_ns = 0;
  double link_ns = 0;
  std::map<std::string, std::string> digests;
};

/// `heads`, `kv_heads`: of one card. ERRORS: kNotFound, kIo, kMalformed and kInvalidArgument with
/// file and line; kInvalidArgument when these heads were not measured.
Result<OperationTables> read_operations(const std::string& folder, const std::string& system,
                                        const std::string& dtype, int64_t heads, int64_t kv_heads,
                                        int64_t head_dim);

}  // namespace touchstone::simulator
