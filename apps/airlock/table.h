// Table: rows of text below titles, for a person.
//
// Cells are escaped and, but for those of the last column, never wider than kTableCellColumnsMax;
// columns are as wide as their widest cell. Nothing is drawn around it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace airlock::apps {

inline constexpr std::size_t kTableCellColumnsMax = 40;

struct TableColumn {
  std::string title;
  bool right = false;  // numbers stand below one another
};

class Table {
 public:
  explicit Table(std::vector<TableColumn> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Lines of at most `columns_max` (0: any number) columns, each ended by a newline.
  std::string text(std::size_t columns_max) const;

 private:
  std::vector<TableColumn> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// How many columns the terminal on `fd` has; 0: it is none.
std::size_t terminal_columns(int fd);
// How many characters the text has; of malformed UTF-8 every byte counts.
std::size_t count_characters(std::string_view text);
// At most so many characters, with "..." at the end of what was cut.
std::string shortened(std::string_view text, std::size_t characters_max);

}  // namespace airlock::apps
