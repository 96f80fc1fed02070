#include "svg.h"

#include <croton/graph/output_file.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

Svg::Svg(double width, double height) {
  body_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} "
      "{1:g}\" "
      "font-family=\"sans-serif\">\n",
      width, height);
  rectangle(0, 0, width, height, "white");
}

void Svg::rectangle(double x, double y, double width, double height, const std::string& fill) {
  body_ += fmt::format("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n",
                       x, y, width, height, fill);
}

void Svg::circle(double x, double y, double radius, const std::string& fill, const std::string& stroke) {
  body_ += fmt::format("<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:g}\" fill=\"{}\" stroke=\"{}\"/>\n", x, y,
                       radius, fill, stroke);
}

void Svg::line(double x0, double y0, double x1, double y1, const std::string& stroke, double width) {
  body_ += fmt::format(
      "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" stroke-width=\"{:g}\"/>\n",
      x0, y0, x1, y1, stroke, width);
}

void Svg::path(const std::vector<std::pair<double, double>>& points, const std::string& stroke,
               double width) {
  body_ +=
      fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\" points=\"", stroke, width);
  for (const auto& [x, y] : points) body_ += fmt::format("{:.2f},{:.2f} ", x, y);
  body_ += "\"/>\n";
}

void Svg::text(double x, double y, const std::string& text, double size, const std::string& anchor) {
  std::string escaped;
  for (char c : text) {
    escaped += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
  }
  body_ += fmt::format("<text x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{:g}\" text-anchor=\"{}\">{}</text>\n", x,
                       y, size, anchor, escaped);
}

void Svg::save(const std::string& path) const {
  croton::OutputFile file(path);
  file.write(body_.data(), body_.size());
  const std::string end = "</svg>\n";
  file.write(end.data(), end.size());
  file.commit();
}

namespace {

/// Round numbers, at least `least` apart, that cut [low, high] into about five.
std::vector<double> linear_ticks(double low, double high, double least) {
  const double raw = (high - low) / 5;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double round = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  const double step = std::max(round, least);
  std::vector<double> ticks;
  for (double t = std::ceil(low / step) * step; t <= high + step * 1e-9; t += step) ticks.push_back(t);
  return ticks;
}

}  // namespace

void plot_curves(const std::string& path, const std::string& title, const std::string& x_label,
                 const std::string& y_label, const std::vector<Curve>& curves, bool log_y) {
  constexpr double width = 720, height = 440, left = 60, right = 20, top = 56, bottom = 50;
  constexpr double margin = 0.04;  // of the range of y, above and below the curves
  double x_low = INFINITY, x_high = -INFINITY, y_low = INFINITY, y_high = -INFINITY;
  const auto scaled = [&](double y) { return log_y ? std::log10(y) : y; };
  const auto drawable = [&](double y) { return std::isfinite(y) && (!log_y || y > 0); };
  for (const Curve& curve : curves) {
    for (const auto& [x, y] : curve.points) {
      if (!drawable(y)) continue;
      x_low = std::min(x_low, x);
      x_high = std::max(x_high, x);
      y_low = std::min(y_low, scaled(y));
      y_high = std::max(y_high, scaled(y));
    }
  }
  if (!(x_low <= x_high)) x_low = 0, x_high = 1, y_low = 0, y_high = 1;
  if (x_low == x_high) x_high = x_low + 1;
  if (y_low == y_high) y_high = y_low + 1;
  const double range = y_high - y_low;
  y_low -= margin * range;
  y_high += margin * range;
  const auto to_x = [&](double x) { return left + (x - x_low) / (x_high - x_low) * (width - left - right); };
  const auto to_y = [&](double y) {
    return height - bottom - (scaled(y) - y_low) / (y_high - y_low) * (height - top - bottom);
  };

  Svg svg(width, height);
  svg.text(width / 2, 22, title, 16, "middle");
  for (double t : linear_ticks(x_low, x_high, 1)) {  // epochs are whole numbers
    svg.line(to_x(t), top, to_x(t), height - bottom, "#e8e8e8");
    svg.text(to_x(t), height - bottom + 18, fmt::format("{:g}", t), 12, "middle");
  }
  std::vector<double> y_ticks;
  if (log_y) {
    for (double decade = std::floor(y_low); decade <= y_high; ++decade) {
      for (double m : {1.0, 2.0, 5.0}) {
        const double t = m * std::pow(10, decade);
        if (scaled(t) >= y_low && scaled(t) <= y_high) y_ticks.push_back(t);
      }
    }
  } else {
    y_ticks = linear_ticks(y_low, y_high, 0);
  }
  for (double t : y_ticks) {
    svg.line(left, to_y(t), width - right, to_y(t), "#e8e8e8");
    svg.text(left - 8, to_y(t) + 4, fmt::format("{:g}", t), 12, "end");
  }
  svg.line(left, height - bottom, width - right, height - bottom, "black");
  svg.line(left, top, left, height - bottom, "black");
  svg.text(width / 2, height - 12, x_label, 13, "middle");
  svg.text(left, top - 10, y_label, 13);
  double legend = top + 14;
  svg.rectangle(width - 200, top + 2, 200 - right, 18 * static_cast<double>(curves.size()) + 6, "white");
  for (const Curve& curve : curves) {
    std::vector<std::pair<double, double>> points;
    for (const auto& [x, y] : curve.points) {
      if (drawable(y)) points.emplace_back(to_x(x), to_y(y));
    }
    svg.path(points, curve.colour);
    svg.line(width - 190, legend, width - 165, legend, curve.colour, 2);
    svg.text(width - 158, legend + 4, curve.name);
    legend += 18;
  }
  svg.save(path);
}
