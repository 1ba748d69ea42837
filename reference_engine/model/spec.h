// An architecture as data: what a decoder-only transformer of this kind computes, and what its
// tensors are called. An architecture makes the spec from config.json; a backend interprets it and
// refuses what it cannot. Nothing here names an architecture. Values.
//
// The decoder that a spec describes: rows of tokens are embedded (positions added when they are
// learned); each layer adds attention of the normed rows, then the feed-forward part of the normed
// rows; the last norm and the head give logits. Norms come before their part, never after.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace touchstone::model {

struct NormSpec {
  enum class Kind {
    kRms,   ///< x / rms(x) * weight
    kLayer  ///< (x - mean) / deviation * weight
  };
  Kind kind = Kind::kRms;
  bool bias = false;  ///< added last
  double eps = 1e-6;
};

/// A table with a row for every position, added to the token's embedding.
struct LearnedPositions {
  int32_t offset = 0;  ///< position p has row p + offset; the table has max positions + offset rows
};

/// Rotary embedding of pairs (i, i + head_dim / 2).
struct RopeSpec {
  std::vector<float> inverse_frequencies;  ///< (head_dim / 2), see rope_table()
  double attention_factor = 1.0;           ///< sines and cosines are multiplied by it
};

enum class Activation {
  kSilu,  ///< x / (1 + e^-x)
  kRelu   ///< max(x, 0)
};

/// Which projections add a bias.
struct BiasSpec {
  bool qkv = false;
  bool output = false;        ///< of attention
  bool feed_forward = false;  ///< gate, up and down
};

/// What tensors are called; those of layer i are `layer_prefix` + i + "." + name. An empty name:
/// the architecture has no such tensor. ".weight" and ".bias" are appended.
struct TensorNames {
  std::string embedding;
  std::string positions;
  std::string final_norm;
  std::string lm_head;
  std::string layer_prefix;
  std::string attention_norm;
  std::string q, k, v, o;
  std::string q_norm, k_norm;
  std::string feed_forward_norm;
  std::string gate, up, down;
  /// Whole names within a layer of tensors that carry nothing of their own.
  std::vector<std::string> ignored;
};

struct Spec {
  NormSpec norm;  ///< all norms but those of queries and keys
  std::optional<LearnedPositions> learned_positions;
  std::optional<RopeSpec> rope;
  Activation activation = Activation::kSilu;
  bool gated = true;  ///< feed-forward: activation(gate) * up, else activation(up)
  BiasSpec biases;
  bool qk_norm = false;  ///< each head of queries and keys is RMS-normed, before it is rotated
  /// By layer: positions that a query sees, itself included; absent: all. Empty: all, everywhere.
  std::vector<std::optional<int32_t>> windows;
  bool tied_embeddings = false;  ///< the head is the embedding
  TensorNames names;

  /// The window of layer `layer`; absent: none.
  std::optional<int32_t> window(int32_t layer) const;
  /// The window that all layers share, so that keys and values outside of it can be given up;
  /// absent: some layer sees everything, or windows differ.
  std::optional<int32_t> common_window() const;
};

/// Inverse frequencies theta^(-2i / head_dim) in f32 and in these steps, as transformers computes
/// them: at position 2000 an angle's last bit is already 1e-4, so more exact ones would give other
/// logits. REQUIRES: head_dim even, theta > 0.
std::vector<float> rope_table(double theta, int32_t head_dim);

}  // namespace touchstone::model
