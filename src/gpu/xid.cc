#include "gpu/xid.h"

#include <algorithm>
#include <string_view>

namespace airlock::gpu {
namespace {

struct Xid {
  std::uint64_t code;
  std::string_view text;
};

constexpr Xid kOfPrograms[] = {
    {13, "exception of the graphics engine"}, {31, "page fault in the GPU's memory"},
    {43, "a program's channel was stopped"},  {45, "a program's channels were cleaned up"},
    {68, "exception of the video decoder"},   {109, "a switch of contexts took too long"},
};

// For the words only: what is not here takes a GPU away as well.
constexpr Xid kKnown[] = {
    {48, "a double-bit error of its memory"},       {61, "a breakpoint of its microcontroller"},
    {62, "its microcontroller has halted"},         {63, "a row of its memory is to be replaced"},
    {64, "a row of its memory cannot be replaced"}, {74, "an error of NVLink"},
    {79, "the GPU has fallen off the bus"},         {92, "many single-bit errors of its memory"},
    {94, "a contained error of its memory"},        {95, "an uncontained error of its memory"},
    {119, "its system processor does not answer"},  {120, "an error of its system processor"},
    {140, "an unrecovered error of its memory"},
};

}  // namespace

bool is_xid_of_program(std::uint64_t code) {
  return std::ranges::find(kOfPrograms, code, &Xid::code) != std::end(kOfPrograms);
}

std::string describe_xid(std::uint64_t code) {
  const std::string name = "Xid " + std::to_string(code);
  for (const Xid& xid : kOfPrograms) {
    if (xid.code == code) return name + ": " + std::string(xid.text);
  }
  for (const Xid& xid : kKnown) {
    if (xid.code == code) return name + ": " + std::string(xid.text);
  }
  return name;
}

}  // namespace airlock::gpu
