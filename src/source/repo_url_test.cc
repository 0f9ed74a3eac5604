#include "source/repo_url.h"

#include <gtest/gtest.h>

namespace airlock::source {
namespace {

const RepoUrlPolicy kPolicy{
    .hosts = {"github.com", "gitlab.com", "git.example:8443", "Upper.Example"},
    .file_roots = {"/srv/git", "/data/repos/"}};

std::string taken(std::string_view text) {
  const auto url = parse_repo_url(text, kPolicy);
  return url.has_value() ? url->text : "refused: " + url.error().message;
}

bool is_refused(std::string_view text) { return taken(text).starts_with("refused: "); }

TEST(RepoUrlTest, TheFormsOfTheContractAreTaken) {
  EXPECT_EQ(taken("https://github.com/owner/name"), "https://github.com/owner/name");
  EXPECT_EQ(taken("https://gitlab.com/group/sub/name.git"),
            "https://gitlab.com/group/sub/name.git");
  EXPECT_EQ(taken("git@github.com:owner/name.git"), "ssh://git@github.com/owner/name.git");
  EXPECT_EQ(taken("ssh://git@github.com/owner/name"), "ssh://git@github.com/owner/name");
  EXPECT_EQ(taken("file:///srv/git/name.git"), "file:///srv/git/name.git");
}

TEST(RepoUrlTest, OneRepositoryHasOneForm) {
  for (const char* text : {"HTTPS://GitHub.COM/owner/name", "https://github.com./owner/name",
                           "https://github.com:443/owner/name", "https://github.com/owner/name/"}) {
    EXPECT_EQ(taken(text), "https://github.com/owner/name") << text;
  }
  EXPECT_EQ(taken("ssh://github.com:22/o/n"), "ssh://git@github.com/o/n");
  EXPECT_EQ(taken("git@github.com:/o/n"), "ssh://git@github.com/o/n");
  EXPECT_EQ(taken("https://upper.example/o/n"), "https://upper.example/o/n");
}

TEST(RepoUrlTest, PortsAreOnlyThoseOfTheOperator) {
  EXPECT_EQ(taken("https://git.example:8443/o/n"), "https://git.example:8443/o/n");
  for (const char* text :
       {"https://git.example/o/n", "https://github.com:8443/o/n", "https://github.com:22/o/n",
        "https://github.com:0443/o/n", "https://github.com:/o/n", "https://github.com:99999/o/n",
        "https://github.com:0/o/n", "https://github.com:443443/o/n", "ssh://git@github.com:443/o/n",
        "https://github.com:+443/o/n"}) {
    EXPECT_TRUE(is_refused(text)) << text;
  }
}

TEST(RepoUrlTest, AnotherHostIsAnsweredWithTheTextOfTheContract) {
  const RepoUrlPolicy policy{.hosts = {"github.com", "gitlab.com"}, .file_roots = {}};
  for (const char* text :
       {"https://evil/github.com/x", "https://evil.com/github.com",
        "https://github.com.evil.com/o/n", "https://evilgithub.com/o/n",
        "https://www.github.com/o/n", "https://127.0.0.1/o/n", "https://localhost/o/n",
        "git@evil.com:github.com/n", "https://github.co/o/n", "https://169.254.169.254/o/n",
        "https://xn--gthub-n4a.com/o/n"}) {
    const auto url = parse_repo_url(text, policy);
    ASSERT_FALSE(url.has_value()) << text;
    EXPECT_EQ(url.error().message, "Repository must be from: github.com, gitlab.com") << text;
  }
}

TEST(RepoUrlTest, NobodyCanHideAnotherHostOrACredential) {
  for (const char* text : {"https://github.com@evil.com/o/n", "https://github.com:pw@evil.com/o/n",
                           "https://user@github.com/o/n", "https://user:pw@github.com/o/n",
                           "https://evil.com#@github.com/o/n", "https://evil.com\\@github.com/o/n",
                           "https://evil.com?@github.com/o/n", "https://@github.com/o/n",
                           "ssh://git:pw@github.com/o/n", "ssh://-oProxyCommand=id@github.com/o/n",
                           "-oProxyCommand=id@github.com:o/n", "git@-oProxyCommand=id:o/n",
                           "ssh://-oProxyCommand=id/o/n", "ssh://git@-h/o/n",
                           "git@evil.com@github.com:o/n", "https://github.com:443@evil.com/o/n"}) {
    EXPECT_TRUE(is_refused(text)) << text << " " << taken(text);
  }
}

TEST(RepoUrlTest, OtherTransportsAreRefused) {
  for (const char* text : {"http://github.com/o/n",
                           "git://github.com/o/n",
                           "ext::sh -c id",
                           "ext::sh%20-c%20id",
                           "fd::17",
                           "ftp://github.com/o/n",
                           "/srv/git/name.git",
                           "../x",
                           "name",
                           "",
                           "-u",
                           "--upload-pack=id",
                           "--upload-pack=id:x",
                           "github.com:o/n",
                           "github.com/o/n",
                           "https:/github.com/o/n",
                           "https//github.com/o/n",
                           "https://",
                           "https:///o/n",
                           "file://srv/git/x",
                           "file://localhost/srv/git/x",
                           "transport::https://github.com/o/n",
                           "https::https://github.com/o/n",
                           "javascript://github.com/o"}) {
    EXPECT_TRUE(is_refused(text)) << text << " " << taken(text);
  }
}

TEST(RepoUrlTest, OddCharactersAndPathsAreRefused) {
  for (const std::string_view text : {std::string_view("https://github.com/o/n\n"),
                                      std::string_view("https://github.com/o\0/n", 23),
                                      std::string_view("https://github.com/o/n m"),
                                      std::string_view("https://github.com/o/../x"),
                                      std::string_view("https://github.com/./o"),
                                      std::string_view("https://github.com//o/n"),
                                      std::string_view("https://github.com/o//n"),
                                      std::string_view("https://github.com/"),
                                      std::string_view("https://github.com"),
                                      std::string_view("https://github.com/-o/n"),
                                      std::string_view("https://github.com/o/--n"),
                                      std::string_view("https://github.com/o/n?x=1"),
                                      std::string_view("https://github.com/o/n#x"),
                                      std::string_view("https://github.com/o/%2e%2e/n"),
                                      std::string_view("https://github.com/o/$(id)"),
                                      std::string_view("https://github.com/o/`id`"),
                                      std::string_view("https://github.com/o/n;id"),
                                      std::string_view("https://github.com/o\\n"),
                                      std::string_view("https://gïthub.com/o/n"),
                                      std::string_view("https://github.com/ö/n"),
                                      std::string_view("https://[::1]/o/n"),
                                      std::string_view("https://github..com/o/n"),
                                      std::string_view("https://github.com../o/n"),
                                      std::string_view("https://.github.com/o/n"),
                                      std::string_view("https://github.com\t/o/n"),
                                      std::string_view("\x7fhttps://github.com/o/n"),
                                      std::string_view("https://github.com/o/'n'"),
                                      std::string_view("https://git_hub.com/o/n")}) {
    EXPECT_TRUE(is_refused(text)) << text << " " << taken(text);
  }
  EXPECT_TRUE(is_refused("https://github.com/" + std::string(3000, 'a')));
}

TEST(RepoUrlTest, FilesLieBelowARootOfTheOperator) {
  const auto url = parse_repo_url("file:///data/repos/a/b.git", kPolicy);
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->file_root, "/data/repos");
  EXPECT_EQ(url->path, "/data/repos/a/b.git");
  for (const char* text :
       {"file:///srv/git", "file:///srv/git/", "file:///srv/gitx/a", "file:///srv/git/../x",
        "file:///etc/passwd", "file:///srv", "file:///", "file:////srv/git/a"}) {
    EXPECT_TRUE(is_refused(text)) << text;
  }
  const auto none =
      parse_repo_url("file:///srv/git/a", {.hosts = {"github.com"}, .file_roots = {}});
  EXPECT_EQ(none.error().message, "file:// repositories are not allowed here");
}

}  // namespace
}  // namespace airlock::source
