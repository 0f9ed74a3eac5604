#include "http/doctor_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <utility>
#include <vector>

#include "http/json_text.h"
#include "http/text_encoding.h"

namespace airlock::http {

namespace {

boost::json::array names_json(const std::vector<std::string>& names) {
  boost::json::array array;
  for (const std::string& name : names) array.emplace_back(printable_utf8(name));
  return array;
}

boost::json::object finding_json(const host::Finding& finding) {
  return {{"group", finding.group},
          {"id", finding.id},
          {"status", host::finding_status_name(finding.status)},
          {"seen", printable_utf8(finding.seen)},
          {"meaning", text_or_null(finding.meaning)},
          {"fix", text_or_null(finding.fix)},
          {"missing", names_json(finding.missing)}};
}

}  // namespace

std::string doctor_json(const host::Report& report) {
  boost::json::array findings;
  for (const host::Finding& finding : report.findings) findings.push_back(finding_json(finding));
  boost::json::object object;
  object["ok"] = report.runs_will_work();
  object["tier"] = text_or_null(report.tier);
  object["user"] = printable_utf8(report.user);
  object["kernel"] = printable_utf8(report.kernel);
  object["missing"] = names_json(report.missing());
  object["counts"] = {{"ok", report.count(host::FindingStatus::kOk)},
                      {"warn", report.count(host::FindingStatus::kWarn)},
                      {"fail", report.count(host::FindingStatus::kFail)}};
  object["findings"] = std::move(findings);
  return boost::json::serialize(object);
}

}  // namespace airlock::http
