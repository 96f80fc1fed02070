#include "digits.h"

#include <fmt/format.h>

#include <filesystem>

using namespace croton;

namespace {

Tensor read(const std::string& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    const std::string path = folder + "/" + name + ending;
    if (std::filesystem::exists(path)) return read_idx(path);
  }
  throw FileError(
      fmt::format("{}/{}: no such file, with .gz neither; the folder must hold the four MNIST files "
                  "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
                  "t10k-labels-idx1-ubyte",
                  folder, name));
}

DigitSet read_set(const std::string& folder, const std::string& prefix) {
  const Tensor images = read(folder, prefix + "-images-idx3-ubyte");
  const Tensor labels = read(folder, prefix + "-labels-idx1-ubyte");
  if (images.dtype() != DType::uint8 || images.rank() != 3 || images.shape()[1] != 28 ||
      images.shape()[2] != 28) {
    throw FileError(fmt::format("{}/{}-images: expected uint8 images of shape (n, 28, 28), got {} of {}",
                                folder, prefix, to_string(images.shape()), name_of(images.dtype())));
  }
  if (labels.dtype() != DType::uint8 || labels.rank() != 1 || labels.shape()[0] != images.shape()[0]) {
    throw FileError(fmt::format("{}/{}-labels: expected one uint8 label for each of {} images, got {} of {}",
                                folder, prefix, images.shape()[0], to_string(labels.shape()),
                                name_of(labels.dtype())));
  }
  for (std::uint8_t label : labels.to_vector<std::uint8_t>()) {
    if (label > 9)
      throw FileError(fmt::format("{}/{}-labels: a label is {}; digits are 0 to 9", folder, prefix, label));
  }
  Tensor scaled = images.astype(DType::float32).reshape({-1, 28 * 28});
  for (float& pixel : std::span(scaled.data<float>(), static_cast<std::size_t>(scaled.size())))
    pixel /= 255.0f;
  return {scaled, labels.astype(DType::int32)};
}

Tensor rows(const Tensor& t, std::int64_t begin, std::int64_t end) { return t.slice(0, begin, end); }

}  // namespace

std::vector<Batch> DigitSet::batches(std::int64_t size) const {
  std::vector<Batch> list;
  for (std::int64_t begin = 0; begin + size <= count(); begin += size) {
    list.push_back({rows(images, begin, begin + size), rows(labels, begin, begin + size)});
  }
  return list;
}

Digits load_digits(const std::string& folder) {
  const DigitSet all = read_set(folder, "train");
  const std::int64_t count = all.count();
  const std::int64_t kept = count == 60000 ? 50000 : count - count * 15 / 100;
  Digits digits;
  digits.train = {rows(all.images, 0, kept), rows(all.labels, 0, kept)};
  digits.validation = {rows(all.images, kept, count), rows(all.labels, kept, count)};
  digits.test = read_set(folder, "t10k");
  if (digits.validation.count() == 0 || digits.test.count() == 0) {
    throw FileError(fmt::format(
        "{}: {} digits to train on and {} to test are too few: some of the former are kept to validate",
        folder, count, digits.test.count()));
  }
  return digits;
}
