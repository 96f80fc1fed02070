#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// A drawing in SVG: lines, dots, squares and text in pixels from the upper left corner. save() writes the
/// file whole or not at all (croton::FileError).
class Svg {
 public:
  Svg(double width, double height);
  void rectangle(double x, double y, double width, double height, const std::string& fill);
  void circle(double x, double y, double radius, const std::string& fill, const std::string& stroke = "none");
  void line(double x0, double y0, double x1, double y1, const std::string& stroke, double width = 1);
  void path(const std::vector<std::pair<double, double>>& points, const std::string& stroke,
            double width = 1.5);
  /// anchor: start, middle or end.
  void text(double x, double y, const std::string& text, double size = 12,
            const std::string& anchor = "start");
  void save(const std::string& path) const;

 private:
  std::string body_;
};

/// One curve of a plot.
struct Curve {
  std::string name;
  std::string colour;
  std::vector<std::pair<double, double>> points;
};
/// A plot over epochs with axes, ticks and a legend; y on a logarithmic scale on request.
void plot_curves(const std::string& path, const std::string& title, const std::string& x_label,
                 const std::string& y_label, const std::vector<Curve>& curves, bool log_y);
