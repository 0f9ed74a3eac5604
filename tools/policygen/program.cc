#include "program.h"

#include <linux/seccomp.h>

#include <cerrno>
#include <cstddef>
#include <span>

#include "base/check.h"

namespace airlock::policygen {
namespace {

using Block = std::vector<sock_filter>;

constexpr std::size_t kConditionalJumpMax = 255;  // jt and jf are one byte
constexpr std::size_t kProgramLengthMax = BPF_MAXINSNS;
constexpr std::uint32_t kNoNumber = 0xffffffff;  // what a tracer leaves to skip a call

// Numbers from `first` up to the next range share one list of cases.
struct Range {
  std::uint32_t first = 0;
  std::span<const CallCase> cases;
};

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

sock_filter give_back(std::uint32_t value) {
  return BPF_STMT(BPF_RET | BPF_K, value);
}

sock_filter jump(std::uint16_t test, std::uint32_t value, std::size_t if_true,
                 std::size_t if_false) {
  AIRLOCK_CHECK_LE(if_true, kConditionalJumpMax);
  AIRLOCK_CHECK_LE(if_false, kConditionalJumpMax);
  return BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), value,
                  static_cast<std::uint8_t>(if_true), static_cast<std::uint8_t>(if_false));
}

void append(Block& block, const Block& more) {
  block.insert(block.end(), more.begin(), more.end());
}

// Little endian, as both architectures are: the low half comes first.
std::size_t argument_offset(std::uint8_t argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
}

// Falls through when the condition holds, else jumps over `skip_on_failure` instructions behind it.
Block condition_block(const ArgumentCondition& condition, std::size_t skip_on_failure) {
  Block block{load(argument_offset(condition.argument))};
  if (condition.mask != 0xffffffff) {
    block.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition.mask));
  }
  for (std::size_t i = 0; i < condition.values.size(); ++i) {
    const std::size_t left = condition.values.size() - 1 - i;
    block.push_back(jump(BPF_JEQ, condition.values[i], left, left == 0 ? skip_on_failure : 0));
  }
  return block;
}

Block case_block(const CallCase& call_case, Variant variant) {
  Block block{give_back(return_value(call_case.action, variant))};
  for (auto condition = call_case.when.rbegin(); condition != call_case.when.rend(); ++condition) {
    Block front = condition_block(*condition, block.size());
    append(front, block);
    block = std::move(front);
  }
  return block;
}

Block search_block(std::span<const Range> ranges, Variant variant) {
  if (ranges.size() == 1) {
    Block block;
    for (const CallCase& call_case : ranges[0].cases) append(block, case_block(call_case, variant));
    return block;
  }
  const std::size_t middle = ranges.size() / 2;
  const Block low = search_block(ranges.first(middle), variant);
  const Block high = search_block(ranges.subspan(middle), variant);
  Block block;
  if (low.size() <= kConditionalJumpMax) {
    block.push_back(jump(BPF_JGE, ranges[middle].first, low.size(), 0));
  } else {
    block.push_back(jump(BPF_JGE, ranges[middle].first, 0, 1));
    block.push_back(BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(low.size())));
  }
  append(block, low);
  append(block, high);
  return block;
}

bool same_answer(std::span<const CallCase> left, std::span<const CallCase> right) {
  return left.size() == 1 && right.size() == 1 && left[0].action == right[0].action;
}

// All numbers from 0 on, gaps included.
std::vector<Range> make_ranges(const Profile& profile, std::span<const CallCase> unknown) {
  std::vector<Range> ranges;
  const auto add = [&ranges](std::uint32_t first, std::span<const CallCase> cases) {
    if (ranges.empty() || !same_answer(ranges.back().cases, cases))
      ranges.push_back({first, cases});
  };
  std::uint32_t next = 0;
  for (const auto& [number, call] : profile.calls) {
    if (number > next) add(next, unknown);
    add(number, call.cases);
    next = number + 1;
  }
  add(next, unknown);
  return ranges;
}

Block foreign_check(const Architecture& architecture, std::uint32_t foreign,
                    std::uint32_t unknown) {
  Block block{load(offsetof(seccomp_data, arch)), jump(BPF_JEQ, architecture.audit_arch, 1, 0),
              give_back(foreign), load(offsetof(seccomp_data, nr))};
  if (architecture.foreign_numbers_from != 0) {
    block.push_back(jump(BPF_JGE, architecture.foreign_numbers_from, 0, 3));
    block.push_back(jump(BPF_JEQ, kNoNumber, 0, 1));
    block.push_back(give_back(unknown));
    block.push_back(give_back(foreign));
  }
  return block;
}

}  // namespace

std::uint32_t return_value(const Action& action, Variant variant) {
  switch (action.kind) {
    case ActionKind::kAllow: return SECCOMP_RET_ALLOW;
    case ActionKind::kReport:
      return variant == Variant::kReport ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
    case ActionKind::kErrno: break;
  }
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(action.error_number);
}

std::vector<sock_filter> compile_profile(const Profile& profile, const Architecture& architecture,
                                         Variant variant) {
  const std::vector<CallCase> unknown{CallCase{.action = profile.unknown}};
  const std::uint32_t foreign =
      variant == Variant::kReport ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS;
  Block program = foreign_check(architecture, foreign, return_value(profile.unknown, variant));
  append(program, search_block(make_ranges(profile, unknown), variant));
  AIRLOCK_CHECK_LE(program.size(), kProgramLengthMax);
  return program;
}

}  // namespace airlock::policygen
