#include <table/table.hpp>

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <utility>

#include "words/words.h"

namespace table {

void Table::add(std::string name, std::string_view text) {
    words_count count{};
    words_count_text(std::string(text).c_str(), &count);
    rows_.push_back({std::move(name), count.words});
}

std::string Table::str() const {
    std::size_t width = 0;
    for (const auto &row : rows_) width = std::max(width, row.name.size());
    std::ostringstream out;
    for (const auto &row : rows_) out << std::left << std::setw(static_cast<int>(width)) << row.name << ' ' << row.words << '\n';
    return out.str();
}

}  // namespace table
