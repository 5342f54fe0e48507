package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TraceReaderTest {
  @TempDir Path folder;

  private Trace read(String content) throws Exception {
    return TraceReader.read(write(content));
  }

  private Path write(String content) throws IOException {
    return Files.writeString(folder.resolve("trace.csv"), content);
  }

  @Test
  void readsAzure() throws Exception {
    Trace trace =
        read(
            """
            TIMESTAMP,ContextTokens,GeneratedTokens
            2023-11-16 18:17:03.9799600,374,44
            2023-11-16 18:17:04.2319600,396,109
            2023-11-17 00:00:00,879,55
            """);
    assertThat(trace.timed()).isTrue();
    assertThat(trace.badRows()).isEmpty();
    assertThat(trace.workload().promptTokens()).containsExactly(374, 396, 879);
    assertThat(trace.workload().outputTokens()).containsExactly(44, 109, 55);
    assertThat(trace.workload().arrivals())
        .extracting(Arrival::seconds)
        .usingComparatorForType(
            (a, b) -> Math.abs(a - b) < 1e-6 ? 0 : Double.compare(a, b), Double.class)
        .containsExactly(0.0, 0.252, 20_576.02004);
  }

  @Test
  void readsAzureWithOffsetsAcrossAChangeOfOffset() throws Exception {
    Trace trace =
        read(
            """
            TIMESTAMP,ContextTokens,GeneratedTokens
            2024-05-10 00:00:00.009930+00:00,10,1
            2024-05-10 02:00:01.009930+02:00,20,2
            """);
    assertThat(trace.badRows()).isEmpty();
    assertThat(trace.workload().windowSeconds()).isCloseTo(1.0, within());
  }

  private static org.assertj.core.data.Offset<Double> within() {
    return org.assertj.core.data.Offset.offset(1e-6);
  }

  @Test
  void readsVidurAndIgnoresFurtherColumns() throws Exception {
    Trace trace =
        read(
            """
            num_prefill_tokens,num_decode_tokens,arrived_at,num_total_tokens
            4808,10,5.5,4818
            3180,8,5.552,3188
            """);
    assertThat(trace.timed()).isTrue();
    assertThat(trace.workload().arrivals().get(0)).isEqualTo(new Arrival(0, 4808, 10));
    assertThat(trace.workload().windowSeconds()).isCloseTo(0.052, within());
  }

  @Test
  void readsBurstGptWithoutItsFailures() throws Exception {
    Trace trace =
        read(
            """
            Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
            5,ChatGPT,472,18,490,Conversation log
            45,GPT-4,1087,0,1087,API log
            118.5,ChatGPT,417,276,693,Conversation log
            """);
    assertThat(trace.workload().arrivals())
        .containsExactly(new Arrival(0, 472, 18), new Arrival(113.5, 417, 276));
    assertThat(trace.badRows())
        .containsExactly(
            new BadRow(3, "Response tokens is '0', must be a whole number of at least 1"));
  }

  @Test
  void readsMooncakeStrictly() throws Exception {
    Trace trace =
        read(
            """
            {"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [46, 47]}
            {"timestamp": 30535, "output_length": 26, "input_length": 6472, "x": {"timestamp": 1}}
            {"timestamp": 30000, "input_length": 1, "output_length": 1}
            {"timestamp": 40000, "input_length": 1.5, "output_length": 1}
            {"timestamp": 40000, "input_length": "7", "output_length": 1}
            {"timestamp": -1, "input_length": 7, "output_length": 1}
            {"timestamp": 40000, "input_length": 7}
            {"timestamp": 40000, "input_length": 7, "output_length": 1, "timestamp": 5}
            {"timestamp": 40000, "input_length": 7, "output_length": 1} {}
            {"timestamp": 40000, "input_length": 99999999999, "output_length": 1}
            [1, 2, 3]
            {"timestamp": 40000, "input_length": 7, "output_length": 1

            {"timestamp": 40001, "input_length": 7, "output_length": 2}
            """);
    assertThat(trace.workload().arrivals())
        .extracting(Arrival::promptTokens)
        .containsExactly(6955, 6472, 7);
    assertThat(trace.workload().windowSeconds()).isCloseTo(12.519, within());
    assertThat(trace.badRows())
        .extracting(BadRow::line)
        .containsExactly(3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L, 13L);
    assertThat(trace.badRows().get(0).reason())
        .isEqualTo("timestamp is 30000, earlier than the row before");
    assertThat(trace.badRows().get(1).reason())
        .isEqualTo("input_length is 1.5, must be a whole number of at least 1");
    assertThat(trace.badRows().get(4).reason()).isEqualTo("has no output_length");
  }

  @Test
  void timesCanStayAsTheyAreWritten() throws Exception {
    Path file = write("arrived_at,num_prefill_tokens,num_decode_tokens\n5.5,1,2\n7,3,4\n");
    try (TraceStream stream =
        TraceReader.open(file, TimeOrigin.AS_WRITTEN, row -> Assertions.fail(row.reason()))) {
      assertThat(stream.next()).isEqualTo(new Arrival(5.5, 1, 2));
      assertThat(stream.next()).isEqualTo(new Arrival(7, 3, 4));
      assertThat(stream.hasNext()).isFalse();
    }
  }

  @Test
  void readsLengthsWithoutTimes() throws Exception {
    Trace trace = read("num_prefill_tokens,num_decode_tokens\n2,2\n5,191\n");
    assertThat(trace.timed()).isFalse();
    assertThat(trace.workload().windowSeconds()).isZero();
    assertThat(trace.workload().outputTokens()).containsExactly(2, 191);
  }

  @Test
  void namesEveryBadRowByLineAndLeavesTheOthersAsTheyAre() throws Exception {
    Trace trace =
        read(
            """
            arrived_at,num_prefill_tokens,num_decode_tokens
            1.0,10,20
            0.5,10,20
            2.0,-3,20
            2.5,10,0
            3.0,10,2.5
            NaN,10,20
            4.0,10
            5.0,99999999999,20
            6.0,11,21
            """);
    assertThat(trace.badRows())
        .extracting(BadRow::line)
        .containsExactly(3L, 4L, 5L, 6L, 7L, 8L, 9L);
    assertThat(trace.badRows())
        .extracting(BadRow::reason)
        .containsExactly(
            "arrived_at is 0.5, earlier than the row before",
            "num_prefill_tokens is '-3', must be a whole number of at least 1",
            "num_decode_tokens is '0', must be a whole number of at least 1",
            "num_decode_tokens is '2.5', must be a whole number of at least 1",
            "arrived_at is 'NaN', must be a number of seconds, at least 0",
            "has 2 fields, the header has 3",
            "num_prefill_tokens is '99999999999', must be a whole number of at least 1");
    assertThat(trace.workload().arrivals())
        .containsExactly(new Arrival(0, 10, 20), new Arrival(5, 11, 21));
  }

  @Test
  void refusesAnUnknownHeader() {
    assertThatThrownBy(() -> read("when,prompt,answer\n0,1,2\n"))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("[when, prompt, answer]")
        .hasMessageContaining("TIMESTAMP,ContextTokens,GeneratedTokens");
  }

  @Test
  void refusesAFileWithoutOneGoodRow() {
    assertThatThrownBy(() -> read("num_prefill_tokens,num_decode_tokens\n0,1\n"))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("first: line 2, num_prefill_tokens is '0'");
    assertThatThrownBy(() -> read("num_prefill_tokens,num_decode_tokens\n"))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("no rows");
    assertThatThrownBy(() -> read(""))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("empty");
    assertThatThrownBy(() -> TraceReader.read(folder.resolve("nowhere.csv")))
        .isInstanceOf(TraceException.class)
        .hasMessageContaining("nowhere.csv is no file");
  }

  @Test
  void readsTheSharedConversationTrace() throws Exception {
    Path file =
        Path.of(System.getProperty("weir.root"), "../shared/data/traces/splitwise_conv.csv");
    Assumptions.assumeTrue(Files.exists(file), file + " is not here");
    Trace trace = TraceReader.read(file);
    assertThat(trace.badRows()).isEmpty();
    assertThat(trace.workload().arrivals()).hasSize((int) Files.lines(file).count() - 1);
    assertThat(trace.workload().arrivals().getFirst()).isEqualTo(new Arrival(0, 374, 44));
  }
}
