#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <future>
#include <iostream>
#include <iterator>
#include <map>
#include <ranges>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

struct Team {
  std::string name;
  int count = 0;
  long total = 0;
  long best_score = -1;
  std::string best;
};

std::uint64_t squares(std::uint64_t part) {
  std::uint64_t sum = 0;
  for (; part <= 10'000; part += 4) sum += part * part;
  return sum;
}

std::uint64_t fnv1a(const std::string& bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

std::string join(const std::vector<std::string>& words, char separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : std::string(1, separator)) + word;
  return text;
}

int main(int argc, char** argv) {
  std::ifstream file("data.csv");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::istringstream lines(bytes);
  std::map<std::string, Team> by_name;
  std::vector<std::string> names;
  const std::regex wanted("^[A-M].*");
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string name, team, score;
    std::getline(std::getline(std::getline(fields, name, ','), team, ','), score);
    Team& entry = by_name[team];
    entry.name = team;
    entry.count += 1;
    entry.total += std::stol(score);
    if (std::stol(score) > entry.best_score) {
      entry.best_score = std::stol(score);
      entry.best = name;
    }
    if (std::regex_match(name, wanted)) names.push_back(name);
  }
  std::vector<Team> teams;
  std::ranges::copy(by_name | std::views::values, std::back_inserter(teams));
  std::ranges::sort(teams, std::ranges::greater{}, &Team::total);

  std::vector<std::future<std::uint64_t>> parts;
  for (int i = 0; i < 4; ++i) parts.push_back(std::async(std::launch::async, squares, i));
  std::uint64_t sum = 0;
  for (auto& part : parts) sum += part.get();

  std::ofstream out("/output/result.txt");
  for (const Team& team : teams) {
    out << team.name << ' ' << team.count << ' ' << team.total << ' ' << team.best << '\n';
  }
  out << "fnv1a " << std::hex << fnv1a(bytes) << std::dec << "\nsquares " << sum << "\nnames "
      << join(names, ',') << "\nargs " << join({argv + 1, argv + argc}, '|') << '\n';
  std::string word;
  std::cin >> word;
  std::printf("done %s\n", word.c_str());
  return out ? 0 : 3;
}
