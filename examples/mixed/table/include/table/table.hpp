// Counts of several texts, side by side.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace table {

class Table {
public:
    void add(std::string name, std::string_view text);
    std::string str() const;

private:
    struct Row {
        std::string name;
        unsigned long words;
    };
    std::vector<Row> rows_;
};

}  // namespace table
