package dev.weir.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The shaded jar, run as users do: {@code java -jar weir.jar}, without a flag. */
class WeirJarIT {
  private static final String JAVA =
      Path.of(System.getProperty("java.home"), "bin", "java").toString();
  private static final Path JAR = Path.of(System.getProperty("weir.jar"));

  @TempDir Path folder;

  private CommandRun java(String... args) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(JAVA, "-jar", JAR.toString()));
    command.addAll(List.of(args));
    return run(command);
  }

  /** {@code $WEIR} in the script is the command. */
  private CommandRun shell(String script) throws IOException, InterruptedException {
    return run(List.of("/bin/sh", "-c", "WEIR='" + JAVA + " -jar " + JAR + "'; set -f; " + script));
  }

  private CommandRun run(List<String> command) throws IOException, InterruptedException {
    File out = folder.resolve("out").toFile();
    File err = folder.resolve("err").toFile();
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(new File(System.getProperty("weir.root")))
            .redirectOutput(out)
            .redirectError(err);
    builder.environment().remove("JAVA_TOOL_OPTIONS");
    builder.environment().remove("JDK_JAVA_OPTIONS");
    Process process = builder.start();
    assertThat(process.waitFor(5, TimeUnit.MINUTES)).as("ends within 5 minutes").isTrue();
    return new CommandRun(
        process.exitValue(),
        Files.readString(out.toPath(), StandardCharsets.UTF_8),
        Files.readString(err.toPath(), StandardCharsets.UTF_8));
  }

  @Test
  void printsTheGoldenStoryAndNothingElse() throws Exception {
    String story = null;
    for (JsonNode one :
        new ObjectMapper()
            .readTree(Path.of(CommandRun.MODEL, "golden.json").toFile())
            .get("cases")) {
      if (one.get("prompt").asText().equals("Once upon a time")) {
        story = one.get("greedy_text").asText();
      }
    }
    CommandRun run =
        java(
            "generate", "--model", "models/stories260K", "--precision", "fp32", "Once upon a time");
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    assertThat(run.out()).startsWith("Once upon a time" + story);
  }

  @Test
  void infoHasNoWarningsAndFindsOneDnn() throws Exception {
    CommandRun run = java("info", "--model", "models/stories260K");
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("oneDNN", "fcfs", "nested-wait").doesNotContain("development");
  }

  /** The driver is a stand-in; see its source, which the tests of the runtime use as well. */
  @Test
  void infoShowsWhatTheDriverTells() throws Exception {
    assumeFalse(
        Files.exists(Path.of("/dev/nvidiactl")), "this machine has a driver, and its own GPUs");
    Path source =
        Path.of(
            System.getProperty("weir.root"),
            "java/runtime/src/test/resources/dev/weir/runtime/gpu/nvml-stand-in.c");
    String compile =
        "cd "
            + folder
            + " && cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 "
            + source
            + " && for l in libcuda.so.1 libcudart.so.13; do echo 'int stand_in;' | cc -x c -shared"
            + " -fPIC -Wl,-soname,$l -o $l -; done";
    assumeTrue(run(List.of("/bin/sh", "-c", compile)).status() == 0, "there is no C compiler");
    CommandRun run =
        shell(
            "JDK_JAVA_OPTIONS=-Dorg.bytedeco.javacpp.cachedir="
                + folder.resolve("cache")
                + " LD_LIBRARY_PATH="
                + folder
                + " $WEIR info");
    assertThat(run.out())
        .contains("driver      580.65.06, for CUDA up to 13.0")
        .contains("no device   NVIDIA Stand-in 0, PCI 0000:17:00.0: 3.00 GiB of 80.0 GiB used")
        .contains("87 % busy, its memory 45 %, 312 of 400 W, 61 °C, 1410 MHz, memory 1593 MHz");
    assertThat(run.status()).isZero();
  }

  @Test
  void experimentsNeedNothingButTheJar() throws Exception {
    Path out = folder.resolve("experiments");
    CommandRun run =
        java(
            "experiment",
            "limit-cycle",
            "--seeds",
            "1",
            "--scale",
            "0.01",
            "--out",
            out.toString());
    assertThat(run.status()).isZero();
    assertThat(run.out()).contains("Saturated, profile", "Report: " + out);
    assertThat(Files.readString(out.resolve("report.html"))).contains("new Chart(", "limit-cycle");
  }

  @Test
  void wrongUsageEndsWithTwo() throws Exception {
    CommandRun run = java("generate");
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("Missing required option: '--model=DIR'");
  }

  @Test
  void anOutputThatCannotBeWrittenIsAFailure() throws Exception {
    String generate = "$WEIR generate --model models/stories260K --max-tokens 400 'Once upon'";
    for (String lost : List.of(" > /dev/full", " >&-")) {
      CommandRun run = shell(generate + lost);
      assertThat(run.status()).as(lost).isEqualTo(1);
      assertThat(run.err()).isEqualTo("weir generate: cannot write to standard output\n");
    }
    CommandRun run = shell("$WEIR info --json > /dev/full");
    assertThat(run.status()).isEqualTo(1);
    assertThat(run.err()).isEqualTo("weir: cannot write to standard output\n");
  }

  /** The prompt is 日本語 in UTF-8, which the JVM cannot read under this locale. */
  @Test
  void aPromptThatTheLocaleManglesIsRefused() throws Exception {
    String arguments =
        "generate --model models/stories260K --max-tokens 2 \"$(printf"
            + " '\\346\\227\\245\\346\\234\\254\\350\\252\\236')\"";
    CommandRun run = shell("LC_ALL=C $WEIR " + arguments);
    assertThat(run.status()).isEqualTo(2);
    assertThat(run.out()).isEmpty();
    assertThat(run.err()).contains("argument 6", "--prompt-file");

    run = shell("LC_ALL=C.UTF-8 $WEIR " + arguments);
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).startsWith("日本語");
  }

  @Test
  void demoComparesBothSchedulersAndWritesAPage() throws Exception {
    Path page = folder.resolve("demo.html");
    CommandRun run = java("demo", "--html", page.toString(), "--no-progress", "--rounds", "1");
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    assertThat(run.out())
        .contains("fcfs", "weir", "64 of 64", "Once upon a time, there was a little fox")
        .contains("64 of 64 stories are the same, token for token, under both schedulers");
    // The point of the demo: the pool is too small for first come, first served.
    assertThat(run.out()).containsPattern("(?m)^ evictions +\\| +[1-9][0-9]* ");
    assertThat(page).content().contains("Chart.js v4").contains("\"name\":\"weir\"");
  }

  @Test
  void holdsNoSignaturesAndNothingOfOtherPlatforms() throws Exception {
    try (JarFile jar = new JarFile(JAR.toFile())) {
      assertThat(jar.stream().map(entry -> entry.getName()))
          .noneMatch(name -> name.matches("META-INF/[^/]*\\.(SF|DSA|RSA)"))
          .noneMatch(name -> name.matches(".*\\.(dll|dylib|jnilib|h|hpp|cmake|proto)"))
          .noneMatch(name -> name.contains("aarch64") || name.contains("libjnidnnl"))
          .noneMatch(name -> name.contains("libjnicu") && !name.contains("libjnicudart"))
          .anyMatch(name -> name.equals("dev/weir/native/linux-x86_64/libweir.so"));
      assertThat(jar.getManifest().getMainAttributes().getValue("Enable-Native-Access"))
          .isEqualTo("ALL-UNNAMED");
    }
  }
}
