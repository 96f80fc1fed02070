#include "codegen_random.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "croton/codegen/kernel_builder.h"

namespace croton::test {

GuardedBuffers::GuardedBuffers(const Kernel& kernel, bool at_end) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  for (const BufferInfo& info : kernel.buffers) {
    const std::size_t bytes = static_cast<std::size_t>(info.count) * size_of(info.dtype);
    const std::size_t inner = (bytes + page - 1) / page * page;
    void* const base = ::mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) throw std::runtime_error("mmap failed");
    char* const first = static_cast<char*>(base) + page;
    if (inner > 0 && ::mprotect(first, inner, PROT_READ | PROT_WRITE) != 0)
      throw std::runtime_error("mprotect failed");
    mappings_.push_back({base, inner + 2 * page});
    pointers_.push_back(at_end ? first + inner - bytes : first);
    sizes_.push_back(bytes);
  }
}

GuardedBuffers::~GuardedBuffers() {
  for (const Mapping& mapping : mappings_) ::munmap(mapping.address, mapping.bytes);
}

namespace {

std::int64_t uniform(std::mt19937& random, std::int64_t low, std::int64_t high) {
  return std::uniform_int_distribution<std::int64_t>(low, high)(random);
}

template <class T>
T random_number(std::mt19937& random, bool with_specials) {
  if constexpr (is_floating(dtype_of<T>)) {
    if (with_specials && uniform(random, 0, 9) == 0) {
      using L = std::numeric_limits<double>;
      static constexpr double specials[] = {L::infinity(), -L::infinity(), L::quiet_NaN(), 0.0, -0.0, 1e-40,
                                            6e4,           -1e30};
      return static_cast<T>(static_cast<float>(specials[uniform(random, 0, 7)]));
    }
    return static_cast<T>(static_cast<float>(uniform(random, -40, 40)) / 4);
  } else {
    if (std::is_same_v<T, bool>) return static_cast<T>(uniform(random, 0, 1));
    if (with_specials && uniform(random, 0, 9) == 0) {
      return uniform(random, 0, 1) != 0 ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
    }
    return static_cast<T>(uniform(random, -20, 20));
  }
}

}  // namespace

void fill_random(const BufferInfo& info, void* memory, std::mt19937& random, bool with_specials) {
  visit_dtype(info.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < info.count; ++i) {
      const T value = random_number<T>(random, with_specials);
      std::memcpy(static_cast<char*>(memory) + static_cast<std::size_t>(i) * sizeof(T), &value, sizeof(T));
    }
  });
}

bool same_contents(const BufferInfo& info, const void* a, const void* b) {
  return visit_dtype(info.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < info.count; ++i) {
      T x, y;
      std::memcpy(&x, static_cast<const char*>(a) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
      std::memcpy(&y, static_cast<const char*>(b) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
      if (std::memcmp(&x, &y, sizeof(T)) == 0) continue;
      if constexpr (is_floating(dtype_of<T>)) {
        if (std::isnan(static_cast<double>(x)) && std::isnan(static_cast<double>(y))) continue;
      }
      return false;
    }
    return true;
  });
}

namespace {

constexpr DType dtypes[] = {DType::bool_,    DType::int8,    DType::int16,   DType::int32,   DType::int64,
                            DType::uint8,    DType::uint16,  DType::uint32,  DType::uint64,  DType::float16,
                            DType::bfloat16, DType::float32, DType::float64, DType::float32, DType::float32};

class Generator {
 public:
  Generator(std::mt19937& random, bool with_fma) : random_(random), b_("random"), with_fma_(with_fma) {}

  Kernel run() {
    const std::int64_t inputs = uniform(random_, 1, 3);
    for (std::int64_t i = 0; i < inputs; ++i)
      inputs_.push_back(buffer_of(b_.input("x", pick_dtype(), buffer_elements)));
    const std::int64_t phases = uniform(random_, 1, 2);
    for (std::int64_t i = 0; i < phases; ++i) phase();
    return b_.build();
  }

 private:
  static constexpr std::int64_t buffer_elements = 700;
  struct Source {
    Buffer buffer;
  };
  Source buffer_of(Buffer buffer) { return {buffer}; }

  std::int64_t pick(std::int64_t low, std::int64_t high) { return uniform(random_, low, high); }
  DType pick_dtype() { return dtypes[pick(0, std::size(dtypes) - 1)]; }

  void phase() {
    const std::int64_t extent = std::int64_t{1} << pick(0, 3);
    const std::int64_t columns = pick(0, 3) == 0 ? pick(0, 3) : pick(1, 75);
    const DType dtype = pick_dtype();
    const bool is_vector_phase = pick(0, 3) == 0;
    if (is_vector_phase) {
      const std::int64_t n = pick(1, 80);
      const Buffer y = b_.output("y", dtype, n);
      b_.parallel("i", n, [&](Index i) { b_.store(y, i, result(i)); }, vectorize, pick(1, 40));
      return;
    }
    const Buffer y = b_.output("y", dtype, std::max<std::int64_t>(extent * columns, 1));
    const Buffer totals = b_.output("t", DType::int64, extent);
    const Buffer seen = b_.output("s", DType::int32, std::max<std::int64_t>(extent * columns, 1));
    b_.parallel("r", extent, [&](Index r) { row(r, columns, y, totals, seen); }, serial, pick(1, 3));
  }

  void row(Index r, std::int64_t columns, Buffer y, Buffer totals, Buffer seen) {
    const Local total = b_.local("total", b_.integer_constant(pick(-3, 3), DType::int64));
    static constexpr ScalarOp reductions[] = {ScalarOp::add,    ScalarOp::mul,     ScalarOp::min,
                                              ScalarOp::max,    ScalarOp::bit_and, ScalarOp::bit_or,
                                              ScalarOp::bit_xor};
    const ScalarOp reduction = reductions[pick(0, 6)];
    const LoopMark mark = pick(0, 4) == 0 ? serial : vectorize.by(static_cast<int>(pick(0, 3)));
    const std::int64_t step = pick(0, 3) == 0 ? pick(1, 3) : 1;
    b_.loop(
        "j", 0, columns, mark,
        [&](Index j) {
          values_.clear();
          const ScalarValue value = result(r * columns + j, j);
          b_.store(y, r * columns + j, value);
          const ScalarValue condition =
              b_.emit(ScalarOp::lt, b_.cast(value, DType::int32), number(DType::int32));
          const Local kept = b_.local("kept", b_.integer_constant(pick(0, 5), DType::int32));
          const auto then = [&] {
            if (pick(0, 1) == 0) b_.store(seen, r * columns + j, b_.value_of(j, DType::int32));
            b_.set(kept, b_.emit(ScalarOp::add, b_.get(kept), b_.integer_constant(1, DType::int32)));
          };
          const auto otherwise = [&] { b_.set(kept, b_.value_of(r * 3 + j, DType::int32)); };
          if (pick(0, 1) == 0) {
            b_.branch(condition, then);
          } else {
            b_.branch(condition, then, otherwise);
          }
          if (pick(0, 1) == 0) {
            b_.loop("k", 0, pick(0, 4), pick(0, 1) == 0 ? serial : unroll, [&](Index k) {
              b_.set(kept, b_.emit(ScalarOp::bit_xor, b_.get(kept), b_.value_of(k * 5 + j, DType::int32)));
            });
          }
          b_.reduce(reduction, total, b_.cast(b_.get(kept), DType::int64));
        },
        step);
    b_.store(totals, r, b_.get(total));
  }

  /// An index below buffer_elements out of variables below 81 and 8.
  Index place(Index i, Index j) {
    switch (pick(0, 8)) {
      case 0:
        return Index(pick(0, buffer_elements - 1));
      case 1:
        return mod(i * pick(1, 5) + pick(0, 9), pick(1, buffer_elements));
      case 2:
        return 699 - j;
      case 3:
        return j * pick(2, 7) + pick(0, 100);
      case 4:
        return floor_div(i + pick(0, 5), pick(1, 6));
      case 5:
        return min(i, Index(pick(0, 30)));
      case 6:
        return max(80 - j, Index(pick(0, 30)));
      default:
        return j + pick(0, 600);
    }
  }

  ScalarValue number(DType dtype) { return b_.constant(static_cast<double>(pick(-6, 6)), dtype); }

  ScalarValue load(Index i, Index j) {
    const Buffer buffer =
        inputs_[static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(inputs_.size()) - 1))].buffer;
    if (pick(0, 3) == 0) {
      const ScalarValue mask =
          b_.compare(pick(0, 1) == 0 ? ScalarOp::lt : ScalarOp::ge, j, Index(pick(0, 60)));
      return b_.load(buffer, place(i, j), mask,
                     number(buffer.dtype == DType::bool_ ? DType::bool_ : DType::float32));
    }
    return b_.load(buffer, place(i, j));
  }

  ScalarValue operand(DType dtype, Index i, Index j) {
    const std::int64_t choice = pick(0, 5);
    if (choice == 0) return number(dtype);
    if (choice == 1) return b_.value_of(i + j, dtype == DType::bool_ ? DType::int32 : dtype);
    if (choice == 2 && !values_.empty()) {
      return values_[static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(values_.size()) - 1))];
    }
    return load(i, j);
  }

  ScalarValue result(Index i) {
    values_.clear();
    return result(i, i);
  }

  ScalarValue result(Index i, Index j) {
    for (std::int64_t n = pick(1, 6); n > 0; --n) {
      static constexpr DType working[] = {DType::float32, DType::float64, DType::int32, DType::uint8,
                                          DType::int64,   DType::int16,   DType::bool_, DType::uint64};
      const DType type = working[pick(0, 7)];
      const ScalarValue x = b_.cast(operand(type, i, j), type), y = b_.cast(operand(type, i, j), type);
      values_.push_back(operation(type, x, y, i, j));
    }
    return values_.back();
  }

  ScalarValue operation(DType type, ScalarValue x, ScalarValue y, Index i, Index j) {
    static constexpr ScalarOp common[] = {ScalarOp::add, ScalarOp::mul, ScalarOp::min, ScalarOp::max};
    static constexpr ScalarOp comparisons[] = {ScalarOp::lt, ScalarOp::le, ScalarOp::gt,
                                               ScalarOp::ge, ScalarOp::eq, ScalarOp::ne};
    static constexpr ScalarOp floating[] = {ScalarOp::sub,   ScalarOp::div,  ScalarOp::floor, ScalarOp::ceil,
                                            ScalarOp::trunc, ScalarOp::rint, ScalarOp::sqrt,  ScalarOp::abs,
                                            ScalarOp::neg,   ScalarOp::sign, ScalarOp::isnan, ScalarOp::isinf,
                                            ScalarOp::fma};
    static constexpr ScalarOp integer[] = {ScalarOp::sub,        ScalarOp::floor_div,   ScalarOp::floor_mod,
                                           ScalarOp::shift_left, ScalarOp::shift_right, ScalarOp::bit_xor,
                                           ScalarOp::abs,        ScalarOp::neg,         ScalarOp::sign,
                                           ScalarOp::bit_not,    ScalarOp::pow,         ScalarOp::fma};
    const std::int64_t choice = pick(0, 9);
    const bool has_products = with_fma_ || !is_floating(type);
    if (choice < 3) return b_.emit(common[has_products ? pick(0, 3) : pick(2, 3)], x, y);
    if (choice == 3 && type != DType::bool_) return b_.emit(comparisons[pick(0, 5)], x, y);
    if (choice == 4) return b_.emit(ScalarOp::select, b_.cast(load(i, j), DType::bool_), x, y);
    if (choice == 5) return b_.cast(x, pick_dtype());
    if (type == DType::bool_) return b_.emit(ScalarOp::logical_not, x);
    const ScalarOp op = is_floating(type) ? floating[pick(0, std::size(floating) - (with_fma_ ? 1 : 2))]
                                          : integer[pick(0, std::size(integer) - 1)];
    switch (arity_of(op)) {
      case 1:
        return b_.emit(op, x);
      case 2:
        return b_.emit(op, x, y);
      default:
        return b_.emit(op, x, y, b_.cast(operand(type, i, j), type));
    }
  }

  std::mt19937& random_;
  KernelBuilder b_;
  bool with_fma_;
  std::vector<Source> inputs_;
  std::vector<ScalarValue> values_;
};

}  // namespace

Kernel random_kernel(std::mt19937& random, bool with_fma) { return Generator(random, with_fma).run(); }

}  // namespace croton::test
