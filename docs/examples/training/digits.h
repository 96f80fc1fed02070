#pragma once

#include <croton/croton.h>

#include <string>
#include <vector>

/// Images and their labels: images float32[count, 28 * 28] in [0, 1], labels int32[count].
struct Batch {
  croton::Tensor images, labels;
};

struct DigitSet {
  croton::Tensor images, labels;
  std::int64_t count() const { return labels.size(); }
  /// Views of `size` digits each; what is left over is left out.
  std::vector<Batch> batches(std::int64_t size) const;
};

/// The MNIST digits of a folder with the four IDX files, gzipped or not. Of the training files the last
/// digits are kept for validation: 10,000 of 60,000, otherwise 15 %. Throws croton::FileError.
struct Digits {
  DigitSet train, validation, test;
};
Digits load_digits(const std::string& folder);
