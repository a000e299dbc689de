// Prints a table of the words in each argument.
#include <iostream>
#include <table/table.hpp>

int main(int argc, char **argv) {
    table::Table table;
    for (int i = 1; i < argc; i++) table.add("text " + std::to_string(i), argv[i]);
    std::cout << table.str();
}
