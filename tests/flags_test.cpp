#include "croton/graph/flags.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "croton/graph/error.h"
#include "croton/graph/flags_text.h"
#include "croton/graph/message.h"
#include "croton/graph/nearest_names.h"

using namespace croton;
using Catch::Matchers::Message;

namespace {

/// An environment variable that gets its old value back.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    if (value)
      setenv(name, value, 1);
    else
      unsetenv(name);
  }
  ~Environment() {
    if (old_)
      setenv(name_, old_->c_str(), 1);
    else
      unsetenv(name_);
  }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

std::filesystem::path fresh_folder() {
  const auto folder =
      std::filesystem::temp_directory_path() / ("croton_flags_test_" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

void write(const std::filesystem::path& path, const std::string& text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("flags start at their defaults", "[graph][flags]") {
  const Config config;
  CHECK(config.floatX() == DType::float32);
  CHECK(config.device() == "cpu");
  CHECK(config.mode() == ModeName::FAST_RUN);
  CHECK(config.optimizer_including().empty());
  CHECK(config.on_unused_input() == OnUnusedInput::raise);
  CHECK_FALSE(config.profile());
  CHECK(config.threads() == 0);
  CHECK(config.precision() == Precision::ieee);
  CHECK(config.exception_verbosity() == Verbosity::low);
  CHECK(config.source("floatX") == "default");
}

TEST_CASE("every type of flag reads its values and their short forms", "[graph][flags]") {
  Config config;
  config.set("floatX", "64");
  CHECK(config.floatX() == DType::float64);
  CHECK(config.get("floatX") == "float64");
  config.set("floatX", DType::float16);
  CHECK(config.floatX() == DType::float16);
  config.set("mode", "None");
  CHECK(config.mode() == ModeName::None);
  config.set("profile", "1");
  CHECK(config.profile());
  config.set("profile", false);
  CHECK(config.get("profile") == "false");
  config.set("threads", 3);
  CHECK(config.threads() == 3);
  config.set("optimizer_excluding", "conv_dnn:inplace::fusion:");
  CHECK(config.optimizer_excluding() == FlagList{"conv_dnn", "inplace", "fusion"});
  const Environment home("HOME", "/home/somebody");
  config.set("cache_dir", "~/kernels");
  CHECK(config.cache_dir() == "/home/somebody/kernels");
  config.set("cache_dir", "~other/kernels");
  CHECK(config.cache_dir() == "~other/kernels");
}

TEST_CASE("a flag string quotes as a shell does", "[graph][flags]") {
  const auto parsed =
      parse_flag_string("  a = 1 ,b='x, y', c=\"q\\\"q\\\\\" ,,d=e=f,g=\\,\\ ,h=  , i='' ", "S");
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& a : parsed) pairs.emplace_back(a.name, a.value);
  CHECK(pairs ==
        std::vector<std::pair<std::string, std::string>>{
            {"a", "1"}, {"b", "x, y"}, {"c", "q\"q\\"}, {"d", "e=f"}, {"g", ", "}, {"h", ""}, {"i", ""}});
  CHECK(parsed[1].where == "S, column 10");
  CHECK(parse_flag_string(" , ", "S").empty());
  CHECK_THROWS_MATCHES(parse_flag_string("a=1, profile", "S"), FlagError,
                       Message("S, column 6: \"profile\" has no value: write profile=VALUE"));
  CHECK_THROWS_MATCHES(parse_flag_string("a='x", "S"), FlagError,
                       Message("S, column 3: the quote ' is not closed"));
  CHECK_THROWS_MATCHES(parse_flag_string("=x", "S"), FlagError,
                       Message("S, column 1: a name is missing before \"=x\""));
}

TEST_CASE("a flag file has sections", "[graph][flags]") {
  const auto parsed = parse_flag_file(
      "# a comment\r\n[global]\r\nfloatX = float64\nmode: None\n; another\n\n[ dnn.conv ]\nalgo=a=b", "rc");
  REQUIRE(parsed.size() == 3);
  CHECK(parsed[0].name == "floatX");
  CHECK(parsed[0].value == "float64");
  CHECK(parsed[0].where == "rc:3");
  CHECK(parsed[1].name == "mode");
  CHECK(parsed[2].name == "dnn.conv.algo");
  CHECK(parsed[2].value == "a=b");
  CHECK_THROWS_MATCHES(parse_flag_file("floatX=float64", "rc"), FlagError,
                       Message("rc:1: \"floatX\" stands before any section: write [global] above it"));
  CHECK_THROWS_MATCHES(parse_flag_file("[global]\nfloatX", "rc"), FlagError,
                       Message("rc:2: \"floatX\" is neither [section] nor name = value"));
  CHECK_THROWS_MATCHES(parse_flag_file("[global", "rc"), FlagError,
                       Message("rc:1: the section \"[global\" has no ]"));
}

TEST_CASE("wrong flags are errors that say where and what else", "[graph][flags]") {
  Config config;
  CHECK_THROWS_MATCHES(config.set("flotX", "float64"), FlagError,
                       Message("config().set: there is no flag \"flotX\"; did you mean floatX?"));
  CHECK_THROWS_MATCHES(
      config.read_string("threads=2,optimizer_excludes=fusion"), FlagError,
      Message(
          "--flags, column 11: there is no flag \"optimizer_excludes\"; did you mean optimizer_excluding or "
          "optimizer_including?"));
  CHECK(config.threads() == 0);  // all or nothing
  CHECK_THROWS_MATCHES(
      config.set("gpuarray.preallocate", "0.5"), FlagError,
      Message("config().set: there is no flag \"gpuarray.preallocate\" in Croton; gpu.preallocate, in MiB"));
  CHECK_THROWS_MATCHES(
      config.set("nvcc.flags", "-O3"), FlagError,
      Message("config().set: there is no flag \"nvcc.flags\" in Croton; there is no compiler to "
              "set up: code generation is built in"));
  CHECK_THROWS_MATCHES(config.read_string("mode=FASTRUN"), FlagError,
                       Message("--flags, column 1: the flag mode takes one of FAST_RUN, FAST_COMPILE, None, "
                               "DebugMode, NanGuardMode, MonitorMode, not "
                               "\"FASTRUN\"; did you mean FAST_RUN?"));
  CHECK_THROWS_MATCHES(
      config.set("device", "gpu0"), FlagError,
      Message("config().set: the flag device takes cpu, cuda, cuda0, cuda1, …, most-free, auto or a GPU's "
              "uuid, not \"gpu0\"; GPUs are called cuda"));
  config.set("device", "cuda:1");
  CHECK(config.device() == "cuda1");
  CHECK_THROWS_AS(config.set("device", "cuda1x"), FlagError);
  config.set("device", "cpu");
  for (const char* bad : {"", "-1", "1.5", "2 ", "99999999999999999999", "two"})
    CHECK_THROWS_AS(config.set("threads", bad), FlagError);
  CHECK_THROWS_AS(config.set("profile", "yes"), FlagError);
  CHECK_THROWS_AS(config.set("floatX", "int32"), FlagError);
  CHECK_THROWS_AS(config.set("floatX", "bfloat16"), FlagError);
  CHECK_THROWS_AS(config.get("nothing"), FlagError);
}

TEST_CASE("sources of flags have a fixed precedence", "[graph][flags]") {
  const auto folder = fresh_folder();
  write(folder / ".crotonrc", "[global]\nfloatX = float64\nthreads = 2\nmode = None\n");
  write(folder / "second", "[global]\nthreads = 5\n");
  const Environment home("HOME", folder.c_str());
  {
    const Environment rc("CROTONRC", nullptr), given("CROTON_FLAGS", "threads=3, profile=True");
    Config config;
    config.set("on_unused_input", "warn");
    config.read_string("profile=false");
    config.read_surroundings();
    CHECK(config.floatX() == DType::float64);
    CHECK(config.source("floatX") == (folder / ".crotonrc").string() + ":2");
    CHECK(config.threads() == 3);
    CHECK(config.source("threads") == "CROTON_FLAGS, column 1");
    CHECK_FALSE(config.profile());
    CHECK(config.on_unused_input() == OnUnusedInput::warn);
    config.read_string("on_unused_input=ignore,threads=4,threads=6");
    CHECK(config.on_unused_input() == OnUnusedInput::warn);
    CHECK(config.threads() == 6);
  }
  {
    const std::string both = (folder / ".crotonrc").string() + ":" + (folder / "second").string();
    const Environment rc("CROTONRC", both.c_str()), given("CROTON_FLAGS", nullptr);
    Config config;
    config.read_surroundings();
    CHECK(config.mode() == ModeName::None);
    CHECK(config.threads() == 5);
  }
  {
    const Environment rc("CROTONRC", "/nowhere/crotonrc"), given("CROTON_FLAGS", nullptr);
    Config config;
    CHECK_THROWS_MATCHES(config.read_surroundings(), FlagError,
                         Message("CROTONRC: cannot read \"/nowhere/crotonrc\": No such file or directory"));
  }
  {
    write(folder / "second", "");
    const Environment rc("CROTONRC", (folder / "second").c_str()), given("CROTON_FLAGS", "mode=fast");
    Config config;
    CHECK_THROWS_MATCHES(
        config.read_surroundings(), FlagError,
        Message(
            "CROTON_FLAGS, column 1: the flag mode takes one of FAST_RUN, FAST_COMPILE, None, "
            "DebugMode, NanGuardMode, MonitorMode, not \"fast\"; did you mean FAST_RUN or FAST_COMPILE?"));
  }
  std::filesystem::remove_all(folder);
}

TEST_CASE("a scope puts flags back, after an error too", "[graph][flags]") {
  Config config;
  config.read_string("threads=2");
  {
    const ConfigScope outer({{"floatX", "float64"}, {"threads", "7"}}, config);
    {
      const ConfigScope inner({{"floatX", "float16"}, {"floatX", "float32"}}, config);
      CHECK(config.floatX() == DType::float32);
    }
    CHECK(config.floatX() == DType::float64);
    CHECK_THROWS_AS(ConfigScope({{"threads", "9"}, {"mode", "?"}}, config), FlagError);
    CHECK(config.threads() == 7);
  }
  CHECK(config.floatX() == DType::float32);
  CHECK(config.threads() == 2);
  CHECK(config.source("threads") == "--flags, column 1");
  config.read_string("threads=3");  // the scope has not left it at the rank of code
  CHECK(config.threads() == 3);
}

TEST_CASE("float_x follows the configuration of the process", "[graph][flags]") {
  const DType before = float_x();
  {
    const ConfigScope scope({{"floatX", "float64"}});
    CHECK(float_x() == DType::float64);
  }
  CHECK(float_x() == before);
}

TEST_CASE("every flag is documented", "[graph][flags]") {
  const std::string markdown = flags_markdown();
  const std::string listing = flags_listing(Config());
  REQUIRE(flag_infos().size() == flag_count);
  for (const FlagInfo& flag : flag_infos()) {
    INFO(flag.name);
    CHECK_FALSE(flag.doc.empty());
    CHECK(flag.doc.back() == '.');
    CHECK(markdown.find("| `" + std::string(flag.name) + "` |") != std::string::npos);
    CHECK(listing.find(std::string(flag.name) + "=") != std::string::npos);
  }
}

TEST_CASE("nearest names", "[graph][flags]") {
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("Fusion", "fuison") == 1);
  const std::vector<std::string_view> tags = {"conv_dnn", "conv_gemm", "conv_legacy",
                                              "inplace",  "fusion",    "BlasOpt"};
  using Names = std::vector<std::string_view>;
  CHECK(nearest_names("conv_dmn", tags) == Names{"conv_dnn"});
  CHECK(nearest_names("fuse", tags) == Names{});
  CHECK(nearest_names("fusoin", tags) == Names{"fusion"});
  CHECK(nearest_names("blas", tags) == Names{"BlasOpt"});
  CHECK(nearest_names("conv", tags) == Names{"conv_dnn", "conv_gemm", "conv_legacy"});
  CHECK(nearest_names("", tags).empty());
  CHECK(nearest_names(std::string(100000, 'x'), tags).empty());
  CHECK(did_you_mean("conv", tags) == "; did you mean conv_dnn, conv_gemm or conv_legacy?");
  CHECK(did_you_mean("zzz", tags).empty());
}

TEST_CASE("messages go to the sink, warnings once", "[graph][message]") {
  std::vector<std::pair<Severity, std::string>> got;
  set_message_sink([&](Severity severity, std::string_view text) { got.emplace_back(severity, text); });
  warn_once("this test warns");
  warn_once("this test warns");
  send_message(Severity::info, "compiled");
  send_message(Severity::info, "compiled");
  set_message_sink({});
  CHECK(got == std::vector<std::pair<Severity, std::string>>{{Severity::warning, "this test warns"},
                                                             {Severity::info, "compiled"},
                                                             {Severity::info, "compiled"}});
}
