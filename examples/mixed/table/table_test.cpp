#include <iostream>
#include <table/table.hpp>

int main() {
    table::Table table;
    table.add("short", "one");
    table.add("longer name", "one two three");
    const std::string wanted = "short       1\nlonger name 3\n";
    if (table.str() == wanted) return 0;
    std::cerr << "found:\n" << table.str() << "wanted:\n" << wanted;
    return 1;
}
