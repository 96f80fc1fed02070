#include "croton/ops/c01b_limits.h"

#include <fmt/format.h>

#include "croton/graph/flags.h"

namespace croton {

namespace {

constexpr std::int64_t few_channels = 3;
constexpr std::int64_t filters_at_once = 16;
constexpr std::int64_t images_at_once = 128;
constexpr std::int64_t pool_channels_at_once = 16;

bool divides(std::int64_t part, std::int64_t whole) { return whole == unknown || whole % part == 0; }
bool differ(std::int64_t a, std::int64_t b) { return a != unknown && b != unknown && a != b; }

std::string limit_of(const ConvProblem& p) {
  // The gradient of the filters worked on four channels at once, the rest on two.
  const std::int64_t together = p.direction == ConvDirection::backward_weights ? 4 : 2;
  if (p.channels != unknown) {
    const std::int64_t channels = p.channels / p.groups;
    if ((p.groups > 1 || channels > few_channels) && channels % together != 0)
      return fmt::format("{} channels a group; it takes up to {} or a multiple of {}", channels,
                         p.groups > 1 ? 0 : few_channels, together);
  }
  if (p.filters != unknown && p.filters / p.groups % filters_at_once != 0)
    return fmt::format("{} filters a group; it takes multiples of {}", p.filters / p.groups, filters_at_once);
  if (!divides(images_at_once, p.batch))
    return fmt::format("a batch of {}; it takes multiples of {}", p.batch, images_at_once);
  if (differ(p.kernel[0], p.kernel[1]))
    return fmt::format("filters of {} x {}; it takes squares", p.kernel[0], p.kernel[1]);
  if (differ(p.image[0], p.image[1]))
    return fmt::format("images of {} x {}; it takes squares", p.image[0], p.image[1]);
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (p.kernel[axis] != unknown && p.stride[axis] > p.kernel[axis])
      return fmt::format("a stride of {} for filters of {}; it takes at most the filter", p.stride[axis],
                         p.kernel[axis]);
  }
  return {};
}

std::string with_flag(const std::string& limit) {
  return limit.empty() ? limit : "cuda-convnet's limits (strict_cuda_convnet=true): " + limit;
}

}  // namespace

std::string strict_cuda_convnet_limit(const ConvProblem& problem) {
  return config().strict_cuda_convnet() ? with_flag(limit_of(problem)) : std::string();
}

std::string strict_cuda_convnet_pool_limit(const Shape& images) {
  if (!config().strict_cuda_convnet()) return {};
  std::string limit;
  if (!divides(pool_channels_at_once, images[0]))
    limit = fmt::format("{} channels; it takes multiples of {}", images[0], pool_channels_at_once);
  else if (differ(images[1], images[2]))
    limit = fmt::format("images of {} x {}; it takes squares", images[1], images[2]);
  return with_flag(limit);
}

}  // namespace croton
