package dev.weir.runtime.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import dev.weir.runtime.ChildJvm;
import dev.weir.runtime.internal.ffi.SystemLibrary;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * JavaCPP's presets themselves, on a stand-in for the driver's libraries (nvml-stand-in.c), each
 * time in a fresh JVM.
 */
class JavaCppNvmlTest {
  @TempDir Path folder;

  @Test
  void tellsWhatTheDriverTells() throws Exception {
    ChildJvm.Outcome outcome = probe(driver(nvml()), Map.of());
    assertThat(outcome.line("driver")).isEqualTo("580.65.06");
    assertThat(outcome.line("cuda")).isEqualTo("13.0");
    assertThat(outcome.lines("old")).isEmpty();
    assertThat(outcome.lines("gpu"))
        .containsExactly(
            "gpu " + new Gpu(0, "NVIDIA Stand-in 0", "0000:17:00.0", 80L << 30),
            "gpu " + new Gpu(1, "NVIDIA Stand-in 1", "0000:a8:00.0", 80L << 30));
    assertThat(outcome.line("memory")).isEqualTo((3L << 30) + " of " + (80L << 30));
    assertThat(outcome.line("busy")).isEqualTo("OptionalInt[87] memory OptionalInt[45]");
    assertThat(outcome.line("power")).isEqualTo("OptionalDouble[312.345] of OptionalDouble[400.0]");
    assertThat(outcome.line("temperature")).isEqualTo("OptionalInt[61]");
    assertThat(outcome.line("clocks")).isEqualTo("OptionalInt[1410] memory OptionalInt[1593]");
    assertThat(outcome.errors()).isEmpty();
  }

  @Test
  void whatAGpuDoesNotReportIsEmpty() throws Exception {
    ChildJvm.Outcome outcome = probe(driver(nvml()), Map.of("STAND_IN_NOT_SUPPORTED", "1"));
    assertThat(outcome.line("memory")).isEqualTo((3L << 30) + " of " + (80L << 30));
    assertThat(outcome.line("busy")).isEqualTo("OptionalInt.empty memory OptionalInt.empty");
    assertThat(outcome.line("power")).isEqualTo("OptionalDouble.empty of OptionalDouble.empty");
    assertThat(outcome.line("temperature")).isEqualTo("OptionalInt.empty");
    assertThat(outcome.line("clocks")).isEqualTo("OptionalInt.empty memory OptionalInt.empty");
  }

  @Test
  void aDriverThatIsTooOldToComputeSaysSo() throws Exception {
    ChildJvm.Outcome outcome = probe(driver(nvml()), Map.of("STAND_IN_CUDA", "12020"));
    assertThat(outcome.line("old"))
        .contains("580.65.06", "serves CUDA 12.2", "13.0 is needed", "Install driver 580");
    assertThat(outcome.lines("gpu")).hasSize(2);
  }

  @Test
  void aDriverThatDoesNotAnswer() throws Exception {
    ChildJvm.Outcome outcome = probe(driver(nvml()), Map.of("STAND_IN_INIT", "9"));
    assertThat(outcome.line("failed"))
        .isEqualTo(
            "nvmlInit_v2: stand-in error 9 (NVML error 9). Run nvidia-smi, which asks the driver the"
                + " same");
    assertThat(outcome.line("again")).isEqualTo(outcome.line("failed"));
  }

  @Test
  void withoutADriver() throws Exception {
    assumeFalse(SystemLibrary.isThere("libcuda.so.1"), "this machine has a driver");
    ChildJvm.Outcome outcome = probe(folder, Map.of());
    assertThat(outcome.line("failed"))
        .startsWith("libcuda.so.1 was not found: there is no NVIDIA driver here")
        .contains("--gpus all");
    assertThat(outcome.errors()).isEmpty();
  }

  @Test
  void withoutNvml() throws Exception {
    assumeFalse(SystemLibrary.isThere("libnvidia-ml.so.1"), "this machine has NVML");
    ChildJvm.Outcome outcome = probe(driver(null), Map.of());
    assertThat(outcome.line("failed"))
        .startsWith("libnvidia-ml.so.1 was not found")
        .contains("NVIDIA_DRIVER_CAPABILITIES=compute,utility");
  }

  @Test
  void nvmlOfAnOldDriverLacksFunctions() throws Exception {
    String old =
        nvml().replace("nvmlSystemGetCudaDriverVersion_v2", "nvmlSystemGetCudaDriverVersion");
    ChildJvm.Outcome outcome = probe(driver(old), Map.of());
    assertThat(outcome.line("failed"))
        .startsWith("libnvidia-ml.so.1 has no function nvmlSystemGetCudaDriverVersion_v2")
        .contains("Install driver 580 or later");
  }

  /** Where there is no libcudart.so.13, their library for it cannot be opened; here it is none. */
  @Test
  void presetsThatCannotBeOpened() throws Exception {
    Path broken = folder.resolve("broken");
    Path library = broken.resolve("org/bytedeco/cuda/" + Loader.getPlatform() + "/libjnicudart.so");
    Files.createDirectories(library.getParent());
    Files.writeString(library, "no library");
    List<String> classPath = ChildJvm.classPath(entry -> true);
    classPath.addFirst(broken.toString());
    ChildJvm.Outcome outcome = probe(driver(nvml()), Map.of(), classPath);
    for (String attempt : List.of("failed", "again")) {
      assertThat(outcome.line(attempt))
          .startsWith("JavaCPP's CUDA presets cannot be opened: ")
          .contains("jnicudart", "libcudart.so.13 of the CUDA toolkit", "LD_LIBRARY_PATH");
    }
  }

  @Test
  void withoutThePresets() throws Exception {
    ChildJvm.Outcome none =
        probe(
            driver(nvml()),
            Map.of(),
            ChildJvm.classPath(entry -> !name(entry).startsWith("cuda-")));
    assertThat(none.line("failed"))
        .startsWith("JavaCPP's CUDA presets are not here")
        .contains("org/bytedeco/cuda/global/nvml.class", "org.bytedeco:cuda");
    ChildJvm.Outcome noLibrary =
        probe(
            driver(nvml()),
            Map.of(),
            ChildJvm.classPath(
                entry -> !name(entry).startsWith("cuda-") || !name(entry).contains("x86_64")));
    assertThat(noLibrary.line("failed")).contains("libjninvml.so", "org.bytedeco:cuda");
  }

  private static String name(String entry) {
    return Path.of(entry).getFileName().toString();
  }

  private static String nvml() throws IOException {
    try (InputStream source = JavaCppNvmlTest.class.getResourceAsStream("nvml-stand-in.c")) {
      return new String(source.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** A folder with what a driver and the CUDA runtime bring; no NVML if that is null. */
  private Path driver(String nvml) throws IOException, InterruptedException {
    ChildJvm.compile("int stand_in;", "libcuda.so.1", folder);
    ChildJvm.compile("int stand_in;", "libcudart.so.13", folder);
    if (nvml != null) {
      ChildJvm.compile(nvml, "libnvidia-ml.so.1", folder);
    }
    return folder;
  }

  private ChildJvm.Outcome probe(Path libraries, Map<String, String> environment)
      throws IOException, InterruptedException {
    return probe(libraries, environment, ChildJvm.classPath(entry -> true));
  }

  private ChildJvm.Outcome probe(
      Path libraries, Map<String, String> environment, List<String> classPath)
      throws IOException, InterruptedException {
    Map<String, String> all = new HashMap<>(environment);
    all.put("LD_LIBRARY_PATH", libraries.toString());
    // JavaCPP keeps links to libraries that it finds, and these will not be there for long.
    String cache = "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache");
    return ChildJvm.run(MonitorProbe.class, List.of(cache), all, classPath, folder);
  }
}
