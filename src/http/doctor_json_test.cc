#include "http/doctor_json.h"

#include <gtest/gtest.h>

namespace airlock::http {
namespace {

TEST(DoctorJsonTest, AHealthyHostIsOkAtTheFullTier) {
  const host::Report report{.user = "root",
                            .kernel = "6.1.0 x86_64",
                            .tier = "full",
                            .findings = {host::ok_finding("kernel", "landlock", "ABI 4")}};
  EXPECT_EQ(doctor_json(report),
            R"({"ok":true,"tier":"full","user":"root","kernel":"6.1.0 x86_64","missing":[],)"
            R"("counts":{"ok":1,"warn":0,"fail":0},"findings":[{"group":"kernel",)"
            R"("id":"landlock","status":"ok","seen":"ABI 4","meaning":null,"fix":null,)"
            R"("missing":[]}]})");
}

TEST(DoctorJsonTest, AFailureLeavesNoTierAndBytesOfPathsStayReadable) {
  host::Finding finding = host::fail_finding("install", "airlock-jail", "/home/\xff/x is not there",
                                             "meaning", "first\nsecond");
  finding.missing = {"uid_range", "cgroup"};
  const host::Report report{.user = "alice", .kernel = "6.1", .tier = {}, .findings = {finding}};
  EXPECT_EQ(doctor_json(report),
            R"({"ok":false,"tier":null,"user":"alice","kernel":"6.1",)"
            R"("missing":["cgroup","uid_range"],"counts":{"ok":0,"warn":0,"fail":1},)"
            R"("findings":[{"group":"install","id":"airlock-jail","status":"fail",)"
            R"("seen":"/home/\\xff/x is not there","meaning":"meaning",)"
            R"("fix":"first\nsecond","missing":["uid_range","cgroup"]}]})");
}

}  // namespace
}  // namespace airlock::http
