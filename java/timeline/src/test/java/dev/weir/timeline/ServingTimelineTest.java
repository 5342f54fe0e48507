package dev.weir.timeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServingTimelineTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  private interface Story {
    void tell(ServingTimeline timeline) throws IOException;
  }

  private List<String> events(Story story) throws IOException {
    Path file = folder.resolve("t.json");
    try (ServingTimeline timeline = new ServingTimeline(file, 16)) {
      story.tell(timeline);
    }
    List<String> lines = new ArrayList<>();
    for (JsonNode event : JSON.readTree(file.toFile())) {
      if (!event.get("ph").asText().equals("M")) {
        lines.add(
            "%s %s %s/%s %s%s%s"
                .formatted(
                    event.get("ph").asText(),
                    event.get("name").asText(),
                    event.get("pid"),
                    event.get("tid"),
                    microseconds(event.get("ts")),
                    event.has("dur") ? "+" + microseconds(event.get("dur")) : "",
                    event.has("args") ? " " + event.get("args") : ""));
      }
    }
    return lines;
  }

  private static String microseconds(JsonNode time) {
    return String.format(Locale.ROOT, "%.3f", time.asDouble());
  }

  private static TimelineIteration iteration(
      long number, long start, long duration, long usedBlocks, int running, int waiting) {
    return new TimelineIteration(
        number,
        start,
        duration,
        start,
        100,
        start + 200,
        500,
        3,
        1,
        40,
        1,
        usedBlocks,
        2,
        running,
        waiting,
        0);
  }

  @Test
  void aRequestGoesThroughItsPhasesOneAfterTheOther() throws Exception {
    assertThat(
            events(
                timeline -> {
                  timeline.arrived(7, 1_000, 20, 84);
                  timeline.phase(7, RequestPhase.PREFILL, 2_500);
                  timeline.phase(7, RequestPhase.PREFILL, 2_600);
                  timeline.phase(7, RequestPhase.DECODE, 3_000);
                  timeline.phase(7, RequestPhase.EVICTED, 4_000);
                  timeline.phase(7, RequestPhase.PREFILL, 5_000);
                  timeline.phase(7, RequestPhase.PREFILL, 5_500);
                  timeline.phase(7, RequestPhase.DECODE, 6_000);
                  timeline.phase(7, RequestPhase.SWAPPED, 7_000);
                  timeline.phase(7, RequestPhase.DECODE, 8_000);
                  timeline.ended(7, 9_001, "length", 64);
                }))
        .containsExactly(
            "B request 7 2/8 1.000 {\"prompt tokens\":20,\"longest\":84}",
            "B waiting 2/8 1.000",
            "E waiting 2/8 2.500",
            "B prefill 2/8 2.500",
            "E prefill 2/8 3.000",
            "B decode 2/8 3.000",
            "E decode 2/8 4.000",
            "B evicted 2/8 4.000",
            "i evicted 1/2 4.000 {\"request\":7}",
            "E evicted 2/8 5.000",
            "B recompute 2/8 5.000",
            "E recompute 2/8 6.000",
            "B decode 2/8 6.000",
            "E decode 2/8 7.000",
            "B swapped 2/8 7.000",
            "i swapped 1/2 7.000 {\"request\":7}",
            "E swapped 2/8 8.000",
            "B decode 2/8 8.000",
            "i length 1/2 9.001 {\"request\":7}",
            "E decode 2/8 9.001",
            "E request 7 2/8 9.001 {\"outcome\":\"length\",\"output tokens\":64,\"evictions\":2}");
  }

  @Test
  void anIterationHasItsPartsInsideAndCountersWhereTheyChange() throws Exception {
    assertThat(
            events(
                timeline -> {
                  timeline.arrived(1, 0, 20, 84);
                  timeline.arrived(2, 0, 20, 17);
                  timeline.phase(1, RequestPhase.PREFILL, 0);
                  timeline.iteration(iteration(1, 1_000, 1_000, 5, 1, 1));
                  timeline.phase(2, RequestPhase.PREFILL, 3_000);
                  timeline.iteration(iteration(2, 3_000, 2_000, 6, 2, 0));
                  assertThat(timeline.running()).isEqualTo(2);
                  assertThat(timeline.waiting()).isZero();
                }))
        .filteredOn(line -> line.contains(" 1/"))
        .containsExactly(
            "X iteration 1/1 1.000+1.000 {\"number\":1,\"decoding\":3,\"prefilling\":1,\"prefill"
                + " tokens\":40,\"evictions\":1}",
            "X schedule 1/1 1.000+0.100",
            "X step 1/1 1.200+0.500",
            "C decode tokens 1/0 1.000 {\"tokens\":3}",
            "C prefill tokens 1/0 1.000 {\"tokens\":40}",
            "C KV blocks used 1/0 1.000 {\"blocks\":5}",
            "C KV blocks used 1/0 2.000 {\"blocks\":2}",
            // 84 tokens are 6 blocks of 16.
            "C KV blocks at full length 1/0 2.000 {\"blocks\":6}",
            "C requests running 1/0 2.000 {\"requests\":1}",
            "C requests waiting 1/0 2.000 {\"requests\":1}",
            "C requests swapped 1/0 2.000 {\"requests\":0}",
            "X iteration 1/1 3.000+2.000 {\"number\":2,\"decoding\":3,\"prefilling\":1,\"prefill"
                + " tokens\":40,\"evictions\":1}",
            "X schedule 1/1 3.000+0.100",
            "X step 1/1 3.200+0.500",
            "C KV blocks used 1/0 3.000 {\"blocks\":6}",
            "C KV blocks used 1/0 5.000 {\"blocks\":2}",
            "C KV blocks at full length 1/0 5.000 {\"blocks\":8}",
            "C requests running 1/0 5.000 {\"requests\":2}",
            "C requests waiting 1/0 5.000 {\"requests\":0}",
            "i not ended 1/2 5.000 {\"request\":1}",
            "i not ended 1/2 5.000 {\"request\":2}");
  }

  @Test
  void whatHasNoBeginningOrNoEndGetsOne() throws Exception {
    List<String> events =
        events(
            timeline -> {
              timeline.phase(3, RequestPhase.DECODE, 100);
              timeline.ended(4, 200, "cancelled", 0);
              timeline.refused(300, "queue full");
              timeline.remark(400, "something");
            });
    assertThat(events)
        .containsExactly(
            "B request 3 2/4 0.100",
            "B decode 2/4 0.100",
            "i cancelled 1/2 0.200 {\"request\":4}",
            "i refused 1/2 0.300 {\"reason\":\"queue full\"}",
            "i something 1/2 0.400",
            "i not ended 1/2 0.400 {\"request\":3}",
            "E decode 2/4 0.400",
            "E request 3 2/4 0.400 {\"outcome\":\"not ended\",\"output tokens\":0,\"evictions\":0}");
  }

  @Test
  void timesKeepTheirNanosecondsHoweverFarTheOriginIs() throws Exception {
    long year = 31_536_000_000_000_000L;
    for (long nanos : new long[] {0, 1, 999, 1_000, -1, -1_234_567, year + 1, Long.MAX_VALUE}) {
      Path file = folder.resolve("t.json");
      try (ServingTimeline timeline = new ServingTimeline(file, 16)) {
        timeline.refused(nanos, "");
      }
      String text = Files.readString(file);
      String time = text.substring(text.lastIndexOf("\"ts\":") + 5).split(",")[0];
      assertThat(new BigDecimal(time)).isEqualTo(BigDecimal.valueOf(nanos, 3));
    }
  }

  @Test
  void textsAreEscapedAndTracksAreNamed() throws Exception {
    Path file = folder.resolve("t.json");
    try (ServingTimeline timeline = new ServingTimeline(file, 16)) {
      timeline.refused(0, "\"quoted\"\n\\ ü");
      timeline.arrived(5, 0, 1, 2);
    }
    JsonNode events = JSON.readTree(file.toFile());
    assertThat(events.findValuesAsText("reason")).containsExactly("\"quoted\"\n\\ ü");
    List<String> names = new ArrayList<>();
    for (JsonNode event : events) {
      if (event.get("name").asText().endsWith("_name")) {
        names.add(
            event.get("pid") + "/" + event.get("tid") + " " + event.at("/args/name").asText());
      }
    }
    assertThat(names)
        .containsExactly(
            "1/0 engine", "1/1 iterations", "1/2 events", "2/0 requests", "2/6 request 5");
  }

  @Test
  void aFileThatCannotBeWrittenIsSaid() {
    assertThatThrownBy(() -> new ServingTimeline(folder, 16)).isInstanceOf(IOException.class);
  }
}
