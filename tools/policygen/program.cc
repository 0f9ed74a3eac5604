#include "program.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <map>
#include <span>

#include "base/check.h"

namespace airlock::policygen {
namespace {

using Cases = std::span<const CallCase>;

constexpr std::size_t kConditionalJumpMax = 255;            // jt and jf are one byte
constexpr std::size_t kReachMax = kConditionalJumpMax - 4;  // leaves room for jumps put in between
constexpr std::size_t kProgramLengthMax = BPF_MAXINSNS;
constexpr std::uint32_t kNoNumber = 0xffffffff;  // what a tracer leaves to skip a call

// Numbers from `first` up to the next range share one list of cases.
struct Range {
  std::uint32_t first = 0;
  Cases cases;
};

// Builds a program from its end, so that the target of a jump is always known already. A Label is
// how many instructions there are from its instruction to the end.
class Assembler {
 public:
  using Label = std::size_t;

  Label emit(sock_filter instruction) {
    reversed_.push_back(instruction);
    return reversed_.size();
  }

  // One return serves all who are near enough.
  Label give_back(std::uint32_t value) {
    const auto found = returns_.find(value);
    if (found != returns_.end() && reversed_.size() - found->second <= kReachMax) {
      return found->second;
    }
    return returns_[value] = emit(BPF_STMT(BPF_RET | BPF_K, value));
  }

  Label branch(std::uint16_t test, std::uint32_t value, Label if_true, Label if_false) {
    if_true = bring_near(if_true);
    if_false = bring_near(if_false);
    const std::size_t true_offset = reversed_.size() - if_true;
    const std::size_t false_offset = reversed_.size() - if_false;
    AIRLOCK_CHECK_LE(true_offset, kConditionalJumpMax);
    AIRLOCK_CHECK_LE(false_offset, kConditionalJumpMax);
    return emit(BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | test | BPF_K), value,
                         static_cast<std::uint8_t>(true_offset),
                         static_cast<std::uint8_t>(false_offset)));
  }

  // What is loaded is tested by the instruction emitted last.
  Label load(std::size_t offset) {
    return emit(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }

  std::vector<sock_filter> finish() const { return {reversed_.rbegin(), reversed_.rend()}; }

 private:
  Label bring_near(Label label) {
    const std::size_t offset = reversed_.size() - label;
    if (offset <= kReachMax) return label;
    return emit(BPF_STMT(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(offset)));
  }

  std::vector<sock_filter> reversed_;
  std::map<std::uint32_t, Label> returns_;
};

// Little endian, as both architectures are: the low half comes first.
std::size_t argument_offset(std::uint8_t argument) {
  return offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
}

// Goes to `if_true` when the condition holds, else to `if_false`. Values in a row are one test.
Assembler::Label emit_condition(Assembler& assembler, const ArgumentCondition& condition,
                                Assembler::Label if_true, Assembler::Label if_false) {
  std::vector<std::uint32_t> values = condition.values;
  std::ranges::sort(values);
  for (std::size_t end = values.size(); end > 0;) {
    std::size_t begin = end - 1;
    while (begin > 0 && values[begin] - values[begin - 1] == 1) --begin;
    if (end - begin < 3) begin = end - 1;
    if (end - begin == 1) {
      if_false = assembler.branch(BPF_JEQ, values[begin], if_true, if_false);
    } else {
      const auto below_end = assembler.branch(BPF_JGT, values[end - 1], if_false, if_true);
      if_false = assembler.branch(BPF_JGE, values[begin], below_end, if_false);
    }
    end = begin;
  }
  if (condition.mask != 0xffffffff) {
    assembler.emit(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, condition.mask));
  }
  return assembler.load(argument_offset(condition.argument));
}

// Whether the two differ in nothing but the values of their only condition.
bool can_be_one(const CallCase& left, const CallCase& right) {
  return left.action == right.action && left.when.size() == 1 && right.when.size() == 1 &&
         left.when[0].argument == right.when[0].argument && left.when[0].mask == right.when[0].mask;
}

// Cases that the yaml keeps apart for their reasons only are one case to the kernel.
std::vector<CallCase> join_cases(Cases cases) {
  std::vector<CallCase> joined;
  for (const CallCase& call_case : cases) {
    if (joined.empty() || !can_be_one(joined.back(), call_case)) {
      joined.push_back(call_case);
      continue;
    }
    auto& values = joined.back().when[0].values;
    values.insert(values.end(), call_case.when[0].values.begin(), call_case.when[0].values.end());
  }
  return joined;
}

Assembler::Label emit_cases(Assembler& assembler, Cases cases, Variant variant) {
  Assembler::Label next = assembler.give_back(return_value(cases.back().action, variant));
  const std::vector<CallCase> tested = join_cases(cases.first(cases.size() - 1));
  for (auto current = tested.rbegin(); current != tested.rend(); ++current) {
    auto target = assembler.give_back(return_value(current->action, variant));
    for (auto condition = current->when.rbegin(); condition != current->when.rend(); ++condition) {
      target = emit_condition(assembler, *condition, target, next);
    }
    next = target;
  }
  return next;
}

Assembler::Label emit_search(Assembler& assembler, std::span<const Range> ranges, Variant variant) {
  if (ranges.size() == 1) return emit_cases(assembler, ranges[0].cases, variant);
  const std::size_t middle = ranges.size() / 2;
  const auto high = emit_search(assembler, ranges.subspan(middle), variant);
  const auto low = emit_search(assembler, ranges.first(middle), variant);
  return assembler.branch(BPF_JGE, ranges[middle].first, high, low);
}

bool same_answer(Cases left, Cases right) {
  return left.size() == 1 && right.size() == 1 && left[0].action == right[0].action;
}

// All numbers from 0 on, gaps included.
std::vector<Range> make_ranges(const Profile& profile, Cases unknown) {
  std::vector<Range> ranges;
  const auto add = [&ranges](std::uint32_t first, Cases cases) {
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

// Checks architecture and table before the search, which begins at the instruction emitted last.
void emit_foreign_check(Assembler& assembler, const Architecture& architecture,
                        Assembler::Label search, std::uint32_t foreign, std::uint32_t unknown) {
  auto native = search;
  if (architecture.foreign_numbers_from != 0) {
    const auto other_table = assembler.branch(BPF_JEQ, kNoNumber, assembler.give_back(unknown),
                                              assembler.give_back(foreign));
    native = assembler.branch(BPF_JGE, architecture.foreign_numbers_from, other_table, search);
  }
  native = assembler.load(offsetof(seccomp_data, nr));
  const auto other_architecture = assembler.give_back(foreign);
  assembler.branch(BPF_JEQ, architecture.audit_arch, native, other_architecture);
  assembler.load(offsetof(seccomp_data, arch));
}

}  // namespace

std::uint32_t return_value(const Action& action, Variant variant) {
  switch (action.kind) {
    case ActionKind::kAllow: return SECCOMP_RET_ALLOW;
    case ActionKind::kReport:
      return variant == Variant::kReport ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ERRNO | EPERM;
    case ActionKind::kTell:
      return variant == Variant::kReport ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
    case ActionKind::kErrno: break;
  }
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(action.error_number);
}

std::vector<sock_filter> compile_profile(const Profile& profile, const Architecture& architecture,
                                         Variant variant) {
  const std::vector<CallCase> unknown{CallCase{.action = profile.unknown}};
  const std::uint32_t foreign =
      variant == Variant::kReport ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS;
  Assembler assembler;
  const auto search = emit_search(assembler, make_ranges(profile, unknown), variant);
  emit_foreign_check(assembler, architecture, search, foreign,
                     return_value(profile.unknown, variant));
  std::vector<sock_filter> program = assembler.finish();
  AIRLOCK_CHECK_LE(program.size(), kProgramLengthMax);
  return program;
}

}  // namespace airlock::policygen
