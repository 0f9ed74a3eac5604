// The Mandelbrot set in characters: compiled in one phase, run on several threads in the next.
#include <algorithm>
#include <complex>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr int kColumns = 76;
constexpr int kRows = 22;
constexpr int kStepsMax = 5'000;
constexpr std::string_view kShades = " .:-=+*#%@";

int count_steps(std::complex<double> c) {
  std::complex<double> z;
  int steps = 0;
  while (steps < kStepsMax && std::norm(z) < 4.0) {
    z = z * z + c;
    ++steps;
  }
  return steps;
}

std::string draw_row(int row) {
  std::string text;
  for (int column = 0; column < kColumns; ++column) {
    const double x = -2.1 + 2.9 * column / (kColumns - 1);
    const double y = -1.2 + 2.4 * row / (kRows - 1);
    const int steps = count_steps({x, y});
    const auto shade = static_cast<std::size_t>(steps == kStepsMax ? 9 : std::min(steps / 2, 8));
    text += kShades[shade];
  }
  return text;
}

}  // namespace

int main() {
  std::vector<std::string> rows(kRows);
  {
    std::vector<std::jthread> workers;
    for (int first = 0; first < 4; ++first) {
      workers.emplace_back([&rows, first] {
        for (int row = first; row < kRows; row += 4) rows[row] = draw_row(row);
      });
    }
  }
  for (const std::string& row : rows) std::puts(row.c_str());
}
