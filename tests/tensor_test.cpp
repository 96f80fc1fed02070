#include "croton/graph/tensor.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/tensor_cast.h"
#include "random_cases.h"
#include "tensor_values.h"

using namespace croton;
using Catch::Matchers::Message;
using croton::test::real_dtypes;

namespace {

using Random = std::mt19937_64;

Shape random_shape(Random& random, int most_axes) {
  static constexpr std::int64_t extents[] = {0, 1, 1, 2, 3, 5, 7};
  Shape shape;
  for (std::size_t rank = random() % static_cast<std::size_t>(most_axes + 1); shape.size() < rank;)
    shape.push_back(extents[random() % std::size(extents)]);
  return shape;
}

/// Small integers, so that every dtype but bool holds them exactly.
Tensor random_tensor(Random& random, const Shape& shape, DType dtype) {
  Tensor tensor = Tensor::empty(shape, DType::int64);
  for (std::int64_t& x : tensor.elements<std::int64_t>()) x = static_cast<std::int64_t>(random() % 100);
  return tensor.astype(dtype);
}

/// Memory that says it is a device's, to see who touches it without asking.
class FakeDevice final : public Storage {
 public:
  FakeDevice(std::size_t bytes, int& releases) : Storage(new std::byte[bytes], bytes), releases_(releases) {}
  ~FakeDevice() override { delete[] static_cast<std::byte*>(data()); }
  bool on_host() const override { return false; }

 private:
  void release() noexcept override {
    ++releases_;
    delete this;
  }
  int& releases_;
};

}  // namespace

TEST_CASE("a tensor without storage is undefined", "[graph][tensor]") {
  const Tensor tensor;
  CHECK_FALSE(tensor.defined());
  CHECK_THROWS_AS(tensor.data<float>(), ValueError);
  CHECK_THROWS_AS(tensor.item<float>(), ValueError);
  CHECK_FALSE(tensor.copy().defined());
  CHECK(equal(tensor, Tensor()));
  CHECK_FALSE(equal(tensor, 1.0));
}

TEST_CASE("C++ literals give NumPy's dtypes", "[graph][tensor]") {
  CHECK(Tensor(1).dtype() == DType::int64);
  CHECK(Tensor(1.0).dtype() == DType::float64);
  CHECK(Tensor(1.0f).dtype() == DType::float32);
  CHECK(Tensor(true).dtype() == DType::bool_);
  CHECK(Tensor(std::uint8_t{1}).dtype() == DType::uint8);
  CHECK(Tensor(1LL).dtype() == DType::int64);
  CHECK(Tensor(float16(1.f)).dtype() == DType::float16);
  CHECK(Tensor(2.5).shape() == Shape{});
  CHECK(Tensor(2.5).item<double>() == 2.5);

  const Tensor list{{1.f, 2.f}, {3.f, 4.f}, {5.f, 6.f}};
  CHECK(list.shape() == Shape{3, 2});
  CHECK(list.dtype() == DType::float32);
  CHECK(list.to_vector<float>() == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(Tensor{1, 2, 3}.dtype() == DType::int64);
  CHECK(Tensor{5.0}.shape() == Shape{1});
  CHECK(Tensor{true, false}.dtype() == DType::bool_);
  CHECK(Tensor{{{1.f}, {2.f}}}.shape() == Shape{1, 2, 1});
  CHECK(Tensor{{{{1, 2}, {3, 4}}}, {{{5, 6}, {7, 8}}}}.shape() == Shape{2, 1, 2, 2});
  CHECK_THROWS_MATCHES((Tensor{{1.f, 2.f}, {3.f}}), ShapeError,
                       Message("a nested list is ragged: the first list at depth 1 has 2 items, another 1"));

  const std::vector<std::int32_t> numbers = {1, 2, 3, 4};
  CHECK(Tensor(numbers).dtype() == DType::int32);
  CHECK(Tensor(numbers, {2, 2}).at<std::int32_t>({1, 0}) == 3);
  CHECK(Tensor(std::span<const std::int32_t>(numbers), {4, 1}).shape() == Shape{4, 1});
  CHECK(Tensor(std::vector<bool>{true, false}).to_vector<bool>() == std::vector<bool>{true, false});
  CHECK_THROWS_MATCHES(Tensor(numbers, {3, 2}), ShapeError,
                       Message("4 values do not fill the shape (3, 2), which has 6 elements"));
}

TEST_CASE("filled tensors", "[graph][tensor]") {
  CHECK(Tensor::zeros({2, 3}).dtype() == float_x());
  for (DType dtype : real_dtypes) {
    INFO(name_of(dtype));
    CHECK(Tensor::zeros({2, 3}, dtype).astype(DType::float64).to_vector<double>() ==
          std::vector<double>(6, 0));
    CHECK(Tensor::ones({3}, dtype).astype(DType::float64).to_vector<double>() == std::vector<double>(3, 1));
    CHECK(Tensor::empty({5, 0}, dtype).size() == 0);
  }
  CHECK(Tensor::full({2}, 7, DType::int8).to_vector<std::int8_t>() == std::vector<std::int8_t>{7, 7});
  CHECK_THROWS_AS(Tensor::full({2}, Tensor{1, 2}), ShapeError);
  CHECK(Tensor::arange(4, DType::float32).to_vector<float>() == std::vector<float>{0, 1, 2, 3});
  CHECK(Tensor::arange(5, 0, -2, DType::int64).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{5, 3, 1});
  CHECK(Tensor::arange(3, 3).size() == 0);
  CHECK(Tensor::arange(4, 1).size() == 0);
  CHECK(Tensor::arange(0, 1, 0.3, DType::float64).size() == 4);
  CHECK_THROWS_AS(Tensor::arange(0, 1, 0), ValueError);
  CHECK_THROWS_AS(Tensor::arange(0, INFINITY), ValueError);
  CHECK_THROWS_AS(Tensor::arange(NAN), ValueError);
  CHECK(equal(Tensor::eye(2, {}, 0, DType::float64), Tensor{{1.0, 0.0}, {0.0, 1.0}}));
  CHECK(equal(Tensor::eye(2, 3, 1, DType::float64), Tensor{{0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}}));
  CHECK(equal(Tensor::eye(3, 2, -1, DType::float64), Tensor{{0.0, 0.0}, {1.0, 0.0}, {0.0, 1.0}}));
  CHECK(equal(Tensor::eye(2, 2, 5, DType::int8), Tensor::zeros({2, 2}, DType::int8)));
  CHECK(equal(Tensor::eye(2, 2, -5, DType::int8), Tensor::zeros({2, 2}, DType::int8)));
}

TEST_CASE("impossible tensors are refused before memory is touched", "[graph][tensor]") {
  constexpr std::int64_t huge = std::int64_t{1} << 40;
  CHECK_THROWS_AS(Tensor::empty({huge, huge}), MemoryError);
  CHECK_THROWS_AS(Tensor::empty({huge, 1 << 20, 8}), MemoryError);
  CHECK_THROWS_AS(Tensor::empty({huge, huge, 0}), MemoryError);
  CHECK(Tensor::empty({huge, 0}).size() == 0);
  CHECK_THROWS_MATCHES(Tensor::empty({2, -1}), ShapeError,
                       Message("a tensor cannot have the negative extent -1"));
  CHECK_THROWS_AS(Tensor::zeros({2}, DType::complex64), TypeError);
  CHECK_THROWS_AS(Tensor::zeros({1, 1, 1, 1, 1, 1, 1, 1, 1}), TypeError);
}

TEST_CASE("memory is aligned and shared", "[graph][tensor]") {
  for (int i = 0; i < 20; ++i) {
    const Tensor tensor = Tensor::empty({i});
    CHECK(reinterpret_cast<std::uintptr_t>(tensor.raw_data()) % tensor_alignment == 0);
  }
  const Tensor a{1.f, 2.f}, b = a;
  CHECK_FALSE(a.storage()->is_unique());
  b.at<float>({0}) = 9;
  CHECK(a.at<float>({0}) == 9);
  CHECK(a.copy().storage()->is_unique());

  int releases = 0;
  {
    const Tensor device(StorageRef(new FakeDevice(64, releases)), DType::float32, {2, 3}, {3, 1}, 1);
    const Tensor other = device.transpose();
    CHECK_FALSE(device.on_host());
    CHECK_THROWS_AS(device.data<float>(), DeviceError);
    device.assign(Tensor{{1, 2, 3}, {4, 5, 6}});
    CHECK(equal(device, Tensor{{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
    CHECK(equal(other.to_host(), Tensor{{1.f, 4.f}, {2.f, 5.f}, {3.f, 6.f}}));
    CHECK(device[1][2].item<double>() == 6);
    CHECK(to_string(other) == "[[1. 4.]\n [2. 5.]\n [3. 6.]]");
    CHECK_THROWS_AS(other.assign(1.f), DeviceError);
    CHECK(releases == 0);
  }
  CHECK(releases == 1);
}

TEST_CASE("a view looks at the caller's memory", "[graph][tensor]") {
  double memory[] = {0, 1, 2, 3, 4, 5};
  const Tensor view = Tensor::view(memory, {2, 3});
  view.at<double>({1, 1}) = 40;
  CHECK(memory[4] == 40);
  const Tensor backwards = Tensor::view(memory + 5, {6}, {-1});
  CHECK(backwards.to_vector<double>() == std::vector<double>{5, 40, 3, 2, 1, 0});
  CHECK(backwards.storage()->data() == memory);
  CHECK(backwards.storage()->bytes() == sizeof memory);
  CHECK(Tensor::view(memory, {2, 2}, {0, 1}).to_vector<double>() == std::vector<double>{0, 1, 0, 1});
  CHECK_THROWS_AS(Tensor::view(memory, {2, 2}, {1}), ShapeError);

  auto owner = std::make_shared<std::vector<float>>(4, 1.f);
  const std::weak_ptr<std::vector<float>> alive = owner;
  {
    const Tensor owning = Tensor::view(owner->data(), {4}, owner);
    owner.reset();
    CHECK(owning.slice(0, 1, 2).item<float>() == 1);
  }
  CHECK(alive.expired());
}

TEST_CASE("access checks dtype and bounds", "[graph][tensor]") {
  const Tensor tensor{{1.f, 2.f}, {3.f, 4.f}};
  CHECK(tensor.at<float>({1, 0}) == 3);
  CHECK(tensor.at<const float>({-1, -1}) == 4);
  CHECK_THROWS_MATCHES(
      tensor.data<double>(), TypeError,
      Message("the tensor of shape (2, 2) is float32, not float64: ask for float32 or convert it with "
              "astype(DType::float64)"));
  CHECK_THROWS_MATCHES(tensor.at<float>({2, 0}), IndexError,
                       Message("index 2 is out of bounds for axis 0 of the tensor of shape (2, 2)"));
  CHECK_THROWS_AS(tensor.at<float>({0, -3}), IndexError);
  CHECK_THROWS_MATCHES(tensor.at<float>({0}), IndexError,
                       Message("the index (0,) has 1 entries; the tensor of shape (2, 2) has 2 axes"));
  CHECK_THROWS_AS(tensor.item<float>(), ShapeError);
  CHECK(tensor[1][1].item<std::int32_t>() == 4);
  CHECK(Tensor(1e10).item<std::int32_t>() == std::numeric_limits<std::int32_t>::max());
}

TEST_CASE("elements convert as documented", "[graph][tensor]") {
  const double inf = INFINITY;
  const Tensor doubles{0.0, -0.0, 0.5, -1.9, 300.0, -1e30, 1e30, inf, -inf, double(NAN)};
  CHECK(doubles.astype(DType::int8).to_vector<std::int8_t>() ==
        std::vector<std::int8_t>{0, 0, 0, -1, 127, -128, 127, 127, -128, 0});
  CHECK(doubles.astype(DType::uint16).to_vector<std::uint16_t>() ==
        std::vector<std::uint16_t>{0, 0, 0, 0, 300, 0, 65535, 65535, 0, 0});
  CHECK(doubles.astype(DType::int64).to_vector<std::int64_t>()[6] ==
        std::numeric_limits<std::int64_t>::max());
  CHECK(doubles.astype(DType::uint64).to_vector<std::uint64_t>()[7] ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(doubles.astype(DType::bool_).to_vector<bool>() ==
        std::vector<bool>{false, false, true, true, true, true, true, true, true, true});
  CHECK(Tensor{255, -1, 256}.astype(DType::uint8).to_vector<std::uint8_t>() ==
        std::vector<std::uint8_t>{255, 255, 0});
  CHECK(Tensor{127, 128}.astype(DType::int8).to_vector<std::int8_t>() == std::vector<std::int8_t>{127, -128});
  CHECK(std::signbit(doubles.astype(DType::float16).to_vector<float16>()[1]));
  CHECK(std::isnan(static_cast<float>(doubles.astype(DType::bfloat16).to_vector<bfloat16>()[9])));
  // Rounding to float32 first would end on a tie and give 0x3c00: the true nearest value is one above.
  CHECK(convert_element<float16>(1.0 + 0x1p-11 + 0x1p-30).bits == 0x3c01);
  CHECK(convert_element<float16>(1.0 + 0x1p-11).bits == 0x3c00);
  CHECK(convert_element<float16>(1.0 - 0x1p-12 - 0x1p-40).bits == 0x3bff);
  CHECK(convert_element<bfloat16>(1.0 + 0x1p-8 + 0x1p-40).bits == 0x3f81);
  CHECK(convert_element<float16>(65519.99999999).bits == 0x7bff);
  CHECK(convert_element<float16>(65520.0).bits == 0x7c00);
  CHECK(doubles.astype(DType::float64).storage() == doubles.storage());
}

TEST_CASE("views agree with indexing", "[graph][tensor]") {
  Random random(1);
  for (int n = test::random_cases(2000); n > 0; --n) {
    const DType dtype = real_dtypes[random() % std::size(real_dtypes)];
    const Tensor base = random_tensor(random, random_shape(random, 4), dtype);
    Tensor view = base;
    // Every step maps an index of the view to one of what it was made from.
    std::vector<std::function<Shape(Shape)>> steps;
    for (int step = 0; step < 3 && view.rank() > 0; ++step) {
      const int axis = static_cast<int>(random() % static_cast<std::size_t>(view.rank()));
      const auto position = static_cast<std::size_t>(axis);
      const std::int64_t extent = view.shape()[position];
      switch (random() % 3) {
        case 0: {
          Shape order;
          for (int i = 0; i < view.rank(); ++i) order.push_back(i);
          std::shuffle(order.begin(), order.end(), random);
          view = view.transpose(order);
          steps.emplace_back([order](Shape index) {
            Shape result = index;
            for (std::size_t i = 0; i < index.size(); ++i)
              result[static_cast<std::size_t>(order[i])] = index[i];
            return result;
          });
          break;
        }
        case 1: {
          const std::int64_t jumps[] = {1, 2, 3, -1, -2};
          const std::int64_t jump = jumps[random() % 5];
          auto any = [&] { return static_cast<std::int64_t>(random() % 20) - 10; };
          std::optional<std::int64_t> start, stop;
          if (random() % 3) start = any();
          if (random() % 3) stop = any();
          // What Python's slice.indices() gives, step by step.
          std::vector<std::int64_t> kept;
          const std::int64_t from = !start       ? (jump > 0 ? 0 : extent - 1)
                                    : *start < 0 ? std::max(*start + extent, jump > 0 ? 0L : -1L)
                                                 : std::min(*start, jump > 0 ? extent : extent - 1);
          const std::int64_t to = !stop       ? (jump > 0 ? extent : -1)
                                  : *stop < 0 ? std::max(*stop + extent, jump > 0 ? 0L : -1L)
                                              : std::min(*stop, jump > 0 ? extent : extent - 1);
          for (std::int64_t i = from; jump > 0 ? i < to : i > to; i += jump) kept.push_back(i);
          view = view.slice(axis - (random() % 2 ? view.rank() : 0), start, stop, jump);
          REQUIRE(view.shape()[position] == static_cast<std::int64_t>(kept.size()));
          steps.emplace_back([position, kept](Shape index) {
            index[position] = kept[static_cast<std::size_t>(index[position])];
            return index;
          });
          break;
        }
        default:
          if (extent == 0) break;
          const auto at = static_cast<std::int64_t>(random() % static_cast<std::size_t>(extent));
          view = view.select(axis, random() % 2 ? at : at - extent);
          steps.emplace_back([position, at](Shape index) {
            index.insert(position, at);
            return index;
          });
      }
    }
    const Tensor copy = view.copy();
    REQUIRE(copy.is_contiguous());
    REQUIRE(copy.shape() == view.shape());
    REQUIRE(equal(copy, view));
    const Tensor flat = view.reshape({-1});
    visit_dtype(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto elements = view.template elements<const T>();
      auto next = elements.begin();
      std::int64_t position = 0;
      std::vector<T> visited;
      for_each_element(elements, [&](T x) { visited.push_back(x); });
      for_each_index(view.shape(), [&](const Shape& index) {
        Shape original = index;
        for (auto step = steps.rbegin(); step != steps.rend(); ++step) original = (*step)(original);
        const T expected = base.template at<T>(original);
        const bool same = view.template at<T>(index) == expected && *next == expected &&
                          next.index() == index && elements[position] == expected &&
                          elements[index] == expected && flat.template data<T>()[position] == expected &&
                          visited[static_cast<std::size_t>(position)] == expected;
        if (!same) FAIL("at " << to_string(index) << " of " << to_string(view.shape()));
        ++next;
        ++position;
      });
      CHECK(next == elements.end());
      CHECK(position == view.size());
    });
  }
}

TEST_CASE("reshape keeps the order of the elements", "[graph][tensor]") {
  const Tensor tensor = Tensor::arange(12, DType::int64).reshape({3, 4});
  CHECK(tensor.reshape({2, -1}).shape() == Shape{2, 6});
  CHECK(tensor.reshape({2, 6}).storage() == tensor.storage());
  CHECK(tensor.transpose().reshape({-1}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  CHECK_THROWS_MATCHES(tensor.reshape({5, -1}), ShapeError,
                       Message("cannot reshape a tensor of shape (3, 4) (12 elements) to (5, ?)"));
  CHECK_THROWS_AS(tensor.reshape({-1, -1}), ShapeError);
  CHECK_THROWS_AS(tensor.reshape({-2, 6}), ShapeError);
  CHECK_THROWS_AS(tensor.reshape({std::int64_t{1} << 62, 4}), ShapeError);
  CHECK_THROWS_AS(tensor.reshape({0, -1}), ShapeError);
  const Tensor empty = Tensor::zeros({0, 3});
  CHECK(empty.reshape({5, 0}).shape() == Shape{5, 0});
  CHECK(empty.reshape({-1, 3}).shape() == Shape{0, 3});
  CHECK_THROWS_AS(empty.reshape({0, -1}), ShapeError);
  CHECK_THROWS_AS(tensor.transpose({0, 0}), ValueError);
  CHECK_THROWS_AS(tensor.transpose({0}), ValueError);
  CHECK_THROWS_AS(tensor.select(2, 0), IndexError);
  CHECK_THROWS_AS(tensor.select(0, 3), IndexError);
  CHECK_THROWS_AS(tensor.slice(0, 0, 1, 0), ValueError);
}

TEST_CASE("assign broadcasts, converts and survives overlap", "[graph][tensor]") {
  const Tensor tensor = Tensor::zeros({2, 3}, DType::float32);
  tensor.assign(Tensor{1, 2, 3});
  CHECK(equal(tensor, Tensor{{1.f, 2.f, 3.f}, {1.f, 2.f, 3.f}}));
  tensor[0].fill(7);
  CHECK(equal(tensor, Tensor{{7.f, 7.f, 7.f}, {1.f, 2.f, 3.f}}));
  CHECK_THROWS_MATCHES(tensor.assign(Tensor{1, 2}), ShapeError,
                       Message("cannot broadcast a tensor of shape (2,) to (2, 3)"));
  const Tensor line = Tensor::arange(5, DType::int64);
  line.slice(0, 1).assign(line.slice(0, {}, -1));
  CHECK(line.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 0, 1, 2, 3});
  line.assign(line.slice(0, {}, {}, -1));
  CHECK(line.to_vector<std::int64_t>() == std::vector<std::int64_t>{3, 2, 1, 0, 0});
  line.set(std::vector<std::int64_t>{5, 4, 3, 2, 1});
  CHECK(line.at<std::int64_t>({0}) == 5);
  const std::int64_t raw[] = {1, 1, 2, 3, 5};
  line.set(std::span(raw));
  CHECK(line.at<std::int64_t>({4}) == 5);
  CHECK_THROWS_AS(line.set(std::vector<float>(5)), TypeError);
  CHECK_THROWS_AS(line.set(std::vector<std::int64_t>(4)), ShapeError);
  CHECK(Tensor{1, 2}.broadcast_to({3, 2}).strides() == Shape{0, 1});
  CHECK_THROWS_AS((Tensor{1, 2}.broadcast_to({})), ShapeError);
}

TEST_CASE("comparison of tensors", "[graph][tensor]") {
  const double nan = NAN, inf = INFINITY;
  CHECK(equal(Tensor{0.0}, Tensor{-0.0}));
  CHECK_FALSE(equal(Tensor{nan}, Tensor{nan}));
  CHECK_FALSE(equal(Tensor{1.0}, Tensor{1.f}));
  CHECK_FALSE(equal(Tensor{1.0}, Tensor(1.0)));
  CHECK(allclose(Tensor{1.0, inf, -inf}, Tensor{1.0 + 1e-9, inf, -inf}));
  CHECK_FALSE(allclose(Tensor{inf}, Tensor{-inf}));
  CHECK_FALSE(allclose(Tensor{inf}, Tensor{1.0}));
  CHECK_FALSE(allclose(Tensor{1.0}, Tensor{inf}));
  CHECK_FALSE(allclose(Tensor{nan}, Tensor{nan}));
  CHECK(allclose(Tensor{nan}, Tensor{nan}, 0, 0, true));
  CHECK_FALSE(allclose(Tensor{nan}, Tensor{1.0}, 0, 0, true));
  CHECK(allclose(Tensor{100.f}, Tensor{101.0}, 0.01, 0));
  CHECK_FALSE(allclose(Tensor{100.f}, Tensor{102.0}, 0.01, 0));
  CHECK_FALSE(allclose(Tensor{1.0}, Tensor{{1.0}}));
  constexpr std::int64_t big = std::int64_t{1} << 60;
  CHECK_FALSE(allclose(Tensor{big}, Tensor{big + 1}, 0, 0));
  CHECK(allclose(Tensor::zeros({0}), Tensor::zeros({0})));
}
