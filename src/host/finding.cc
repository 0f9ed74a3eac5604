#include "host/finding.h"

#include <algorithm>
#include <utility>

namespace airlock::host {

namespace {

Finding make_finding(FindingStatus status, std::string_view group, std::string_view id,
                     std::string seen, std::string meaning, std::string fix) {
  Finding finding;
  finding.group = group;
  finding.id = id;
  finding.status = status;
  finding.seen = std::move(seen);
  finding.meaning = std::move(meaning);
  finding.fix = std::move(fix);
  return finding;
}

}  // namespace

std::string_view finding_status_name(FindingStatus status) {
  switch (status) {
    case FindingStatus::kOk: return "ok";
    case FindingStatus::kWarn: return "warn";
    case FindingStatus::kFail: return "fail";
  }
  return "fail";
}

Finding ok_finding(std::string_view group, std::string_view id, std::string seen,
                   std::string meaning) {
  return make_finding(FindingStatus::kOk, group, id, std::move(seen), std::move(meaning), {});
}

Finding warn_finding(std::string_view group, std::string_view id, std::string seen,
                     std::string meaning, std::string fix) {
  return make_finding(FindingStatus::kWarn, group, id, std::move(seen), std::move(meaning),
                      std::move(fix));
}

Finding fail_finding(std::string_view group, std::string_view id, std::string seen,
                     std::string meaning, std::string fix) {
  return make_finding(FindingStatus::kFail, group, id, std::move(seen), std::move(meaning),
                      std::move(fix));
}

bool Report::runs_will_work() const { return count(FindingStatus::kFail) == 0; }

std::size_t Report::count(FindingStatus status) const {
  return static_cast<std::size_t>(std::ranges::count(findings, status, &Finding::status));
}

std::vector<std::string> Report::missing() const {
  std::vector<std::string> names;
  for (const Finding& finding : findings) {
    names.insert(names.end(), finding.missing.begin(), finding.missing.end());
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace airlock::host
