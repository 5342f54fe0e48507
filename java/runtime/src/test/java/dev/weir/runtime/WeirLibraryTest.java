package dev.weir.runtime;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.assertj.core.api.AbstractStringAssert;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Finding and opening the native library, each time in a fresh JVM. */
class WeirLibraryTest {
  private static final String RESOURCE = "dev/weir/native/" + Loader.getPlatform() + "/libweir.so";
  private static final long ENTRY_TIME = 1_700_000_000_000L;

  @TempDir Path folder;

  @Test
  void comesFromTheClassPathWithoutWarnings() throws Exception {
    ChildJvm.Outcome outcome = probe(List.of(), Map.of(), classPath());
    assertThat(Path.of(outcome.line("path"))).isRegularFile();
    assertThat(outcome.line("version")).isEqualTo(WeirLibrary.version());
    assertThat(outcome.line("abi")).isEqualTo("1002");
    assertThat(outcome.line("matmul")).contains("oneDNN 3.");
    assertThat(outcome.lines("mapped"))
        .as("one copy of each, from one folder")
        .hasSize(2)
        .anySatisfy(line -> assertThat(line).endsWith("/libdnnl.so.3"))
        .anySatisfy(line -> assertThat(line).endsWith("/libgomp.so.1"))
        .allSatisfy(line -> assertThat(line).contains("/org/bytedeco/dnnl/"));
    assertThat(outcome.errors()).isEmpty();
  }

  @Test
  void worksWithoutOneDnnAndSaysSo() throws Exception {
    ChildJvm.Outcome outcome = probe(List.of(), Map.of(), classPathWithout("dnnl"));
    assertThat(outcome.line("matmul")).doesNotContain("oneDNN 3.").contains("oneDNN was not found");
    assertThat(outcome.errors()).isEmpty();
  }

  /** A stand-in, which is opened and, where there is a GPU, found to be none. */
  @Test
  void cublasLtOfTheClassPathIsOpenedForCuda() throws Exception {
    Path resources = folder.resolve("redist/org/bytedeco/cuda/" + Loader.getPlatform());
    Files.createDirectories(resources);
    ChildJvm.compile("int stand_in;", "libcublasLt.so.13", resources);
    List<String> classPath = classPath();
    classPath.addFirst(folder.resolve("redist").toString());
    ChildJvm.Outcome outcome = probe(List.of(), Map.of(), classPath);
    assertThat(outcome.lines("cuda")).hasSize(1);
    assertThat(outcome.lines("mapped"))
        .contains("mapped " + resources.resolve("libcublasLt.so.13"));
  }

  @Test
  void aLibraryInAJarIsExtractedOnce() throws Exception {
    byte[] library = Files.readAllBytes(bundledLibrary());
    String cache = "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache");
    List<String> first = withJar("weir-native-1.jar", library, (byte) 1);

    Path path = Path.of(probe(List.of(cache), Map.of(), first).line("path"));
    assertThat(path).startsWith(folder.resolve("cache").toRealPath());
    Object extracted = Files.readAttributes(path, "unix:ino,lastModifiedTime");
    assertThat(probe(List.of(cache), Map.of(), first).line("path")).isEqualTo(path.toString());
    assertThat(Files.readAttributes(path, "unix:ino,lastModifiedTime")).isEqualTo(extracted);
  }

  @Test
  void anotherBuildOfTheSameSizeAndTimeIsNotTakenForTheCachedOne() throws Exception {
    byte[] library = Files.readAllBytes(bundledLibrary());
    String cache = "-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("cache");
    List<String> classPath = withJar("weir-native-1.jar", library, (byte) 1);
    Path first = Path.of(probe(List.of(cache), Map.of(), classPath).line("path"));
    withJar("weir-native-1.jar", library, (byte) 2);
    Path second = Path.of(probe(List.of(cache), Map.of(), classPath).line("path"));

    assertThat(Files.size(second)).isEqualTo(Files.size(first));
    assertThat(Files.mismatch(first, second)).isEqualTo(library.length);
  }

  @Test
  void theSettingsNameALibrary() throws Exception {
    Path home = Files.createDirectories(folder.resolve("home"));
    Path library = Files.copy(bundledLibrary(), home.resolve("libweir.so"));
    Path copy = Files.copy(library, folder.resolve("another.so"));

    assertThat(probe(List.of("-Dweir.library=" + copy), Map.of(), classPath()).line("path"))
        .isEqualTo(copy.toString());
    assertThat(probe(List.of("-Dweir.home=" + home), Map.of(), classPath()).line("path"))
        .isEqualTo(library.toString());
    assertThat(probe(List.of(), Map.of("WEIR_LIBRARY", copy.toString()), classPath()).line("path"))
        .isEqualTo(copy.toString());
    assertThat(probe(List.of(), Map.of("WEIR_HOME", home.toString()), classPath()).line("path"))
        .isEqualTo(library.toString());

    Path installed = home.resolve("lib").resolve("libweir.so");
    Files.createDirectories(installed.getParent());
    Files.copy(library, installed);
    assertThat(
            probe(
                    List.of("-Dweir.home=" + home),
                    Map.of("WEIR_LIBRARY", copy.toString()),
                    classPath())
                .line("path"))
        .as("a system property comes before the environment")
        .isEqualTo(installed.toString());
  }

  @Test
  void aSettingThatNamesNoFile() throws Exception {
    Path missing = folder.resolve("missing.so");
    assertFails(List.of("-Dweir.library=" + missing), Map.of())
        .isEqualTo("The system property weir.library names " + missing + ", which is not a file");
    assertFails(List.of(), Map.of("WEIR_LIBRARY", folder.toString()))
        .isEqualTo(
            "The environment variable WEIR_LIBRARY names " + folder + ", which is not a file");
    assertFails(List.of("-Dweir.home=" + folder), Map.of())
        .isEqualTo(
            "The system property weir.home names "
                + folder
                + ", but there is neither "
                + folder.resolve("lib/libweir.so")
                + " nor "
                + folder.resolve("libweir.so"));
    assertFails(List.of(), Map.of("WEIR_HOME", folder.toString()))
        .startsWith("The environment variable WEIR_HOME names " + folder);
  }

  @Test
  void aFileThatIsNoLibrary() throws Exception {
    Path text = Files.writeString(folder.resolve("libweir.so"), "not a shared object");
    // The JVM itself warns of such a file on stderr.
    ChildJvm.Outcome outcome = probe(List.of("-Dweir.library=" + text), Map.of(), classPath());
    assertThat(outcome.line("failed"))
        .startsWith("Cannot open " + text + ": ")
        .contains("file too short")
        .contains("WEIR_LIBRARY");
  }

  @Test
  void aLibraryThatIsNotOurs() throws Exception {
    Path zip = Path.of(System.getProperty("java.home"), "lib", "libzip.so");
    assertFails(List.of("-Dweir.library=" + zip), Map.of())
        .startsWith(zip + " is not a Weir library: it has no function weir_abi_version")
        .contains("weir.library");
  }

  @Test
  void aLibraryWithAnotherAbi() throws Exception {
    Path other = compile("int weir_abi_version(void) { return 2001; }");
    assertFails(List.of("-Dweir.library=" + other), Map.of())
        .startsWith(
            other + " has version 2.1 of the ABI, this binding needs 1.2 or a later minor version")
        .contains("weir.library");
  }

  @Test
  void aLibraryOfAnEarlierMinorVersion() throws Exception {
    Path other = compile("int weir_abi_version(void) { return 1001; }");
    assertFails(List.of("-Dweir.library=" + other), Map.of())
        .startsWith(other + " has version 1.1 of the ABI, this binding needs 1.2 or a later");
  }

  @Test
  void aLibraryThatLacksFunctions() throws Exception {
    Path other = compile("int weir_abi_version(void) { return 1002; }");
    assertFails(List.of("-Dweir.library=" + other), Map.of())
        .startsWith(other + " says it has version 1.2 of the ABI but lacks functions of it");
  }

  @Test
  void aPlatformWithoutALibrary() throws Exception {
    assertFails(List.of("-Dorg.bytedeco.javacpp.platform=plan9-mips"), Map.of())
        .startsWith("There is no native library for the platform plan9-mips")
        .contains("dev/weir/native/plan9-mips/libweir.so")
        .contains("weir.library")
        .contains("WEIR_HOME");
  }

  private AbstractStringAssert<?> assertFails(List<String> options, Map<String, String> environment)
      throws Exception {
    ChildJvm.Outcome outcome = probe(options, environment, classPath());
    assertThat(outcome.errors()).isEmpty();
    assertThat(outcome.line("again")).as("the second attempt").isEqualTo(outcome.line("failed"));
    return assertThat(outcome.line("failed"));
  }

  private ChildJvm.Outcome probe(
      List<String> options, Map<String, String> environment, List<String> classPath)
      throws IOException, InterruptedException {
    return ChildJvm.run(LibraryProbe.class, options, environment, classPath, folder);
  }

  private static List<String> classPath() {
    return ChildJvm.classPath(entry -> true);
  }

  private static List<String> classPathWithout(String artifact) {
    return ChildJvm.classPath(
        entry -> !Path.of(entry).getFileName().toString().startsWith(artifact));
  }

  /**
   * The class path with a jar in front that has {@code library} and one byte behind it, which the
   * loader ignores.
   */
  private List<String> withJar(String name, byte[] library, byte last) throws IOException {
    Path jar = folder.resolve(name);
    try (OutputStream out = Files.newOutputStream(jar);
        ZipOutputStream zip = new ZipOutputStream(out)) {
      ZipEntry entry = new ZipEntry(RESOURCE);
      entry.setTime(ENTRY_TIME);
      zip.putNextEntry(entry);
      zip.write(library);
      zip.write(last);
    }
    return Stream.concat(Stream.of(jar.toString()), classPathWithout("dnnl").stream()).toList();
  }

  private static Path bundledLibrary() {
    return WeirLibrary.path();
  }

  private Path compile(String source) throws IOException, InterruptedException {
    return ChildJvm.compile(source, "libother.so", folder);
  }
}
