#include "apps/airlock/table.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <utility>

#include "apps/airlock/print.h"
#include "base/check.h"
#include "base/utf8.h"

namespace airlock::apps {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLastColumnsMin = 10;
constexpr std::string_view kCut = "...";

std::size_t bytes_of_first(std::string_view text) {
  return std::max<std::size_t>(1, base::utf8_character_length(text));
}

}  // namespace

std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(bytes_of_first(text));
  return count;
}

std::string shortened(std::string_view text, std::size_t characters_max) {
  if (count_characters(text) <= characters_max) return std::string(text);
  const std::size_t cut = std::min(kCut.size(), characters_max);
  std::string_view rest = text;
  for (std::size_t i = cut; i < characters_max; ++i) rest.remove_prefix(bytes_of_first(rest));
  return std::string(text.substr(0, text.size() - rest.size())).append(kCut.substr(0, cut));
}

std::size_t terminal_columns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void Table::add(std::vector<std::string> cells) {
  AIRLOCK_CHECK_EQ(cells.size(), columns_.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    cells[i] = escaped(cells[i]);
    if (i + 1 < cells.size()) cells[i] = shortened(cells[i], kTableCellColumnsMax);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t columns_max) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = count_characters(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, count_characters(row[i]));
    widths.push_back(width);
  }
  std::string text;
  const auto line = [&](auto cell_of) {
    std::size_t used = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const bool last = i + 1 == columns_.size();
      std::string cell = cell_of(i);
      if (last && columns_max > 0) {
        const std::size_t room = columns_max - std::min(columns_max, used);
        cell = shortened(cell, std::max(room, kLastColumnsMin));
      }
      const std::size_t padding = widths[i] - std::min(widths[i], count_characters(cell));
      if (columns_[i].right) text.append(padding, ' ');
      text += cell;
      if (!last) text.append((columns_[i].right ? 0 : padding) + kGap, ' ');
      used += widths[i] + kGap;
    }
    while (text.ends_with(' ')) text.pop_back();
    text += '\n';
  };
  line([&](std::size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) {
    line([&](std::size_t i) { return row[i]; });
  }
  return text;
}

}  // namespace airlock::apps
