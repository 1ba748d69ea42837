// A warp's 16x8 products: registers, and how they get there from shared memory. The layouts are
// those that the PTX manual documents for mma.m16n8k16 (16-bit elements) and m16n8k8 (tf32, here in
// f32). Lane l has group l / 4 and place l % 4.
#pragma once

#include <type_traits>

#include "reference_engine/backend/cuda/kernels/device.h"

namespace touchstone::backend::cuda {

/// D: elements 0, 1 of row `group`, 2, 3 of row `group` + 8; columns 2 * place and the next.
struct Product {
  float d[4];
};

TOUCHSTONE_DEVICE int fragment_group() { return lane() / 4; }
TOUCHSTONE_DEVICE int fragment_place() { return lane() % 4; }

/// Two 16-bit elements in one register, the first in the low half.
template <typename T>
TOUCHSTONE_DEVICE uint32_t pack_two(float low, float high) {
  return from_float<T>(low).bits | static_cast<uint32_t>(from_float<T>(high).bits) << 16;
}

/// 16-bit elements: steps of 16 along k.
template <typename T>
struct Fragments {
  static constexpr int kK = 16;
  static constexpr int kUnroll = 16;  // steps; at most
  static constexpr int kPadding = 8;  // elements behind a row, so that rows start in other banks
  struct A {
    uint32_t r[4];
  };
  struct B {
    uint32_t r[2];
  };

  /// Rows [0, 16), columns [column, column + kK) of a matrix.
  static TOUCHSTONE_DEVICE_MEMBER A load_a(const Shared<T>& rows, int stride, int column) {
    A a;
    load_matrices(a.r, rows, lane() % 16 * stride + column + lane() / 16 * 8, false);
    return a;
  }
  /// Columns [0, 8) and [8, 16) of B, which lies transposed: its columns are rows [first, first +
  /// 16) of `columns`, its rows the elements [k, k + kK) of them.
  static TOUCHSTONE_DEVICE_MEMBER void load_b_transposed(B (&b)[2], const Shared<T>& columns,
                                                         int stride, int first, int k) {
    uint32_t r[4];
    const int row = first + lane() % 8 + lane() / 16 * 8;
    load_matrices(r, columns, row * stride + k + lane() / 8 % 2 * 8, false);
    b[0] = {{r[0], r[1]}};
    b[1] = {{r[2], r[3]}};
  }
  /// Rows [k, k + kK), columns [column, column + 8) and the next 8 of B, which lies as it is.
  static TOUCHSTONE_DEVICE_MEMBER void load_b(B (&b)[2], const Shared<T>& rows, int stride, int k,
                                              int column) {
    uint32_t r[4];
    const int row = k + lane() % 16;
    load_matrices(r, rows, row * stride + column + lane() / 16 * 8, true);
    b[0] = {{r[0], r[1]}};
    b[1] = {{r[2], r[3]}};
  }
  /// Products side by side, 8 columns each, as the A of a product with load_b(): columns
  /// [step * kK, (step + 1) * kK).
  template <int kCount>
  static TOUCHSTONE_DEVICE_MEMBER A from_products(const Product (&p)[kCount], int step) {
    const Product& left = p[2 * step];
    const Product& right = p[2 * step + 1];
    return {{pack_two<T>(left.d[0], left.d[1]), pack_two<T>(left.d[2], left.d[3]),
             pack_two<T>(right.d[0], right.d[1]), pack_two<T>(right.d[2], right.d[3])}};
  }
  static TOUCHSTONE_DEVICE_MEMBER void multiply(Product& product, const A& a, const B& b) {
    mma16<T>(product.d, a.r, b.r);
  }
  using Word = uint32_t;
  static TOUCHSTONE_DEVICE_MEMBER Word word(const Pack<T>& pack, int i) {
    return pack.values[2 * i].bits | static_cast<uint32_t>(pack.values[2 * i + 1].bits) << 16;
  }
};

/// f32: steps of 8 along k, fused multiply-adds.
template <>
struct Fragments<float> {
  static constexpr int kK = 8;
  static constexpr int kUnroll = 1;  // a step is long
  static constexpr int kPadding = 4;
  struct A {
    float r[4];
  };
  struct B {
    float r[2];
  };

  static TOUCHSTONE_DEVICE_MEMBER A load_a(const Shared<float>& rows, int stride, int column) {
    const int upper = fragment_group() * stride + column + fragment_place();
    const int lower = upper + 8 * stride;
    return {{rows[upper], rows[lower], rows[upper + 4], rows[lower + 4]}};
  }
  static TOUCHSTONE_DEVICE_MEMBER void load_b_transposed(B (&b)[2], const Shared<float>& columns,
                                                         int stride, int first, int k) {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int at = (first + 8 * i + fragment_group()) * stride + k + fragment_place();
      b[i] = {{columns[at], columns[at + 4]}};
    }
  }
  /// In the order of k that from_products() has: 0, 2, 4, 6, 1, 3, 5, 7.
  static TOUCHSTONE_DEVICE_MEMBER void load_b(B (&b)[2], const Shared<float>& rows, int stride,
                                              int k, int column) {
    TOUCHSTONE_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int at = (k + 2 * fragment_place()) * stride + column + 8 * i + fragment_group();
      b[i] = {{rows[at], rows[at + stride]}};
    }
  }
  /// Columns 2 * place and the next stand where A has columns place and place + 4.
  template <int kCount>
  static TOUCHSTONE_DEVICE_MEMBER A from_products(const Product (&p)[kCount], int step) {
    return {{p[step].d[0], p[step].d[2], p[step].d[1], p[step].d[3]}};
  }
  static TOUCHSTONE_DEVICE_MEMBER void multiply(Product& product, const A& a, const B& b) {
    mma8(product.d, a.r, b.r);
  }
  using Word = float;
  static TOUCHSTONE_DEVICE_MEMBER Word word(const Pack<float>& pack, int i) {
    return pack.values[i];
  }
};

/// Two steps along k at once, of matrices whose rows are long: each lane brings 16 bytes of its row
/// at its place, so that a row is read in runs of 64 bytes. The steps then multiply columns in a
/// fixed order that is not that of k; both operands have the same.
template <typename T>
struct Chunk {
  using F = Fragments<T>;
  static constexpr int kK = 4 * Pack<T>::kSize;

  /// product += A · B over the chunk: `upper` and `lower` of rows `group` and `group` + 8 of A,
  /// `column` of column `group` of B.
  static TOUCHSTONE_DEVICE_MEMBER void multiply(Product& product, const Pack<T>& upper,
                                                const Pack<T>& lower, const Pack<T>& column) {
    TOUCHSTONE_UNROLL
    for (int step = 0; step < 2; ++step) {
      const int left = 2 * step;
      const int right = left + 1;
      F::multiply(product,
                  {{F::word(upper, left), F::word(lower, left), F::word(upper, right),
                    F::word(lower, right)}},
                  {{F::word(column, left), F::word(column, right)}});
    }
  }
};

}  // namespace touchstone::backend::cuda
