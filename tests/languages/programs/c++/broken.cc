#include <string>

int main() {
  std::string text = 42 + std::vector<int>();
  return text.size();
}
