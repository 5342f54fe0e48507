package dev.weir.runtime.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.weir.runtime.Sampling;
import java.io.IOException;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.StructLayout;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Compares the binding with what the C++ compiler made of weir.h, and with the numbers in it. */
class LayoutTest {
  private record FieldLayout(long offset, long size, long ownerSize) {}

  @BeforeAll
  static void load() throws LibraryLoadException {
    NativeLibrary.load();
  }

  @Test
  void everyFieldLiesWhereTheCompilerPutIt() throws Throwable {
    assertThat(javaFields()).isEqualTo(nativeFields());
  }

  @Test
  void aFieldThatDoesNotExistIsRefused() throws Throwable {
    int count = (int) Functions.LAYOUT_COUNT.invokeExact();
    try (NativeCall call = new NativeCall()) {
      MemorySegment layout = Layouts.allocate(Layouts.FIELD_LAYOUT, call.arena);
      int past = (int) Functions.LAYOUT_FIELD.invokeExact(count, layout, call.error().segment);
      int negative = (int) Functions.LAYOUT_FIELD.invokeExact(-1, layout, call.error().segment);
      assertThat(past).isEqualTo(NativeStatus.INVALID_ARGUMENT);
      assertThat(negative).isEqualTo(NativeStatus.INVALID_ARGUMENT);
      assertThat(call.error().message()).contains("-1");
    }
  }

  @Test
  void statusesHaveTheNamesOfTheHeader() throws IllegalAccessException {
    int count = 0;
    for (Field field : NativeStatus.class.getFields()) {
      assertThat(NativeStatus.name(field.getInt(null))).isEqualTo("WEIR_" + field.getName());
      count++;
    }
    assertThat(NativeStatus.name(count)).isEqualTo("WEIR_UNKNOWN_STATUS");
    assertThat(NativeStatus.name(-1)).isEqualTo("WEIR_UNKNOWN_STATUS");
  }

  @Test
  void theNumbersOfTheHeaderAreThoseOfTheBinding() throws IOException {
    Map<String, Integer> expected = new TreeMap<>();
    expected.put("WEIR_ABI_VERSION", NativeLibrary.ABI_VERSION);
    expected.put("WEIR_MAX_EOS_TOKENS", Layouts.MAX_EOS_TOKENS);
    expected.put("WEIR_MAX_TOP_LOGPROBS", Sampling.MAX_TOP_LOG_PROBABILITIES);
    // Only named in documentation; the native layer checks it.
    expected.put("WEIR_MAX_BLOCK_SIZE", 1024);
    expected.put("WEIR_DEVICE_CPU", NativeDevice.CPU);
    expected.put("WEIR_DEVICE_CPU_REFERENCE", NativeDevice.CPU_REFERENCE);
    expected.put("WEIR_DEVICE_CUDA", NativeDevice.CUDA);
    expected.put("WEIR_PRECISION_DEFAULT", NativeDevice.PRECISION_DEFAULT);
    expected.put("WEIR_PRECISION_FP32", NativeDevice.PRECISION_FP32);
    expected.put("WEIR_PRECISION_BF16", NativeDevice.PRECISION_BF16);
    expected.put("WEIR_PRECISION_INT8", NativeDevice.PRECISION_INT8);
    expected.put("WEIR_PRECISION_FP16", NativeDevice.PRECISION_FP16);
    expected.put("WEIR_PRECISION_FP8", NativeDevice.PRECISION_FP8);
    expected.put("WEIR_DEVICE_PIN_THREADS", NativeDevice.PIN_THREADS);
    expected.put("WEIR_DEVICE_DETERMINISTIC", NativeDevice.DETERMINISTIC);
    expected.put("WEIR_DEVICE_NO_GRAPHS", NativeDevice.NO_GRAPHS);
    expected.put("WEIR_WEIGHTS_FILES", NativeModelOptions.WEIGHTS_FILES);
    expected.put("WEIR_WEIGHTS_RANDOM", NativeModelOptions.WEIGHTS_RANDOM);
    expected.put("WEIR_ENTRY_SAMPLE", NativeStep.ENTRY_SAMPLE);
    expected.put("WEIR_OK", NativeStatus.OK);
    expected.put("WEIR_INVALID_ARGUMENT", NativeStatus.INVALID_ARGUMENT);
    expected.put("WEIR_CLOSED", NativeStatus.CLOSED);
    expected.put("WEIR_OUT_OF_BLOCKS", NativeStatus.OUT_OF_BLOCKS);
    expected.put("WEIR_OUT_OF_SWAP", NativeStatus.OUT_OF_SWAP);
    expected.put("WEIR_OUT_OF_MEMORY", NativeStatus.OUT_OF_MEMORY);
    expected.put("WEIR_INVALID_MODEL", NativeStatus.INVALID_MODEL);
    expected.put("WEIR_UNSUPPORTED", NativeStatus.UNSUPPORTED);
    expected.put("WEIR_IO_ERROR", NativeStatus.IO_ERROR);
    expected.put("WEIR_DEVICE_UNAVAILABLE", NativeStatus.DEVICE_UNAVAILABLE);
    expected.put("WEIR_DEVICE_FAILED", NativeStatus.DEVICE_FAILED);
    expected.put("WEIR_INTERNAL", NativeStatus.INTERNAL);

    assertThat(numbersOfTheHeader()).isEqualTo(expected);
  }

  @Test
  void everyFunctionOfTheHeaderIsBound() throws IOException, IllegalAccessException {
    Matcher matcher = Pattern.compile("WEIR_API [^;(]*?\\*?\\s?(weir_\\w+)\\(").matcher(header());
    int declared = 0;
    while (matcher.find()) {
      declared++;
      assertThat(Functions.class.getDeclaredFields())
          .extracting(Field::getName)
          .contains(matcher.group(1).substring("weir_".length()).toUpperCase(Locale.ROOT));
    }
    assertThat(Functions.class.getDeclaredFields()).hasSize(declared);
  }

  private static Map<String, FieldLayout> javaFields() {
    Map<String, FieldLayout> fields = new TreeMap<>();
    for (StructLayout struct : Layouts.ALL) {
      String owner = struct.name().orElseThrow();
      for (MemoryLayout member : struct.memberLayouts()) {
        if (!(member instanceof PaddingLayout)) {
          String name = member.name().orElseThrow();
          fields.put(
              owner + "." + name,
              new FieldLayout(Layouts.offset(struct, name), member.byteSize(), struct.byteSize()));
        }
      }
    }
    return fields;
  }

  private static Map<String, FieldLayout> nativeFields() throws Throwable {
    Map<String, FieldLayout> fields = new TreeMap<>();
    int count = (int) Functions.LAYOUT_COUNT.invokeExact();
    for (int index = 0; index < count; index++) {
      try (NativeCall call = new NativeCall()) {
        MemorySegment layout = Layouts.allocate(Layouts.FIELD_LAYOUT, call.arena);
        int status = (int) Functions.LAYOUT_FIELD.invokeExact(index, layout, call.error().segment);
        assertThat(status).isEqualTo(NativeStatus.OK);
        String owner = NativeLibrary.text(layout.get(ADDRESS, offset("owner")));
        String field = NativeLibrary.text(layout.get(ADDRESS, offset("field")));
        fields.put(
            owner + "." + field,
            new FieldLayout(
                layout.get(JAVA_INT, offset("field_offset")),
                layout.get(JAVA_INT, offset("field_size")),
                layout.get(JAVA_INT, offset("owner_size"))));
      }
    }
    assertThat(fields).hasSize(count);
    return fields;
  }

  private static long offset(String field) {
    return Layouts.offset(Layouts.FIELD_LAYOUT, field);
  }

  private static Map<String, Integer> numbersOfTheHeader() throws IOException {
    Map<String, Integer> numbers = new TreeMap<>();
    Matcher matcher =
        Pattern.compile("(?:#define +(WEIR_\\w+) +|(WEIR_\\w+)\\s*=\\s*)(\\d+)").matcher(header());
    while (matcher.find()) {
      String name = matcher.group(1) != null ? matcher.group(1) : matcher.group(2);
      numbers.put(name, Integer.valueOf(matcher.group(3)));
    }
    return numbers;
  }

  private static String header() throws IOException {
    Path path = Path.of(System.getProperty("weir.root"), "native/include/weir.h");
    return Pattern.compile("/\\*.*?\\*/", Pattern.DOTALL)
        .matcher(Files.readString(path))
        .replaceAll("");
  }
}
