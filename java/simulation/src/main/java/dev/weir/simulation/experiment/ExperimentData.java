package dev.weir.simulation.experiment;

import dev.weir.simulation.ArrivalList;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.Trace;
import dev.weir.simulation.TraceException;
import dev.weir.simulation.TraceReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.zip.GZIPInputStream;

/**
 * The lengths that experiments use.
 *
 * @param lmsys lengths of LMSYS-Chat-1M, or what stands in for them; {@link RequestLengths#name}
 *     says which, and has to stand wherever figures depend on them
 * @param lmsysBadRows rows of the file that were left out, such as those with an empty output
 * @param conversation the Azure conversation trace with its times
 */
public record ExperimentData(RequestLengths lmsys, int lmsysBadRows, ArrivalList conversation) {
  /** Name of the real lengths. */
  public static final String LMSYS = "LMSYS lengths";

  /** Name of what is used where they are not there. */
  public static final String LMSYS_STAND_IN = "LMSYS stand-in";

  private static final String CONVERSATION =
      "/dev/weir/simulation/traces/azure-conversation.csv.gz";
  private static final int STAND_IN_ROWS = 20_000;
  private static final int LMSYS_PROMPT_LIMIT = 200;
  private static final int LMSYS_OUTPUT_LIMIT = 500;

  /** With the stand-in of {@link #lmsysStandIn}. */
  public static ExperimentData shipped() {
    return new ExperimentData(lmsysStandIn(), 0, conversationTrace());
  }

  /**
   * With a file of lengths in one of the formats of {@link TraceReader}; its times are not used.
   *
   * @throws TraceException if it cannot be read
   */
  public static ExperimentData withLmsys(Path file) throws TraceException {
    Trace trace = TraceReader.read(file);
    return new ExperimentData(
        RequestLengths.of(LMSYS, trace.workload()), trace.badRows().size(), conversationTrace());
  }

  /**
   * A distribution with about the mean, deviation and quartiles of the LMSYS-Chat-1M lengths with a
   * prompt below 200 and an output below 500 tokens, which may not be shipped. The real ones:
   * prompt mean 35, deviation 41, quartiles 9, 19 and 47; output mean 147, deviation 127, quartiles
   * 34, 116 and 235. Each of these is met within 10 %. Prompt and output are independent (the real
   * ones have a correlation of 0.06).
   */
  public static RequestLengths lmsysStandIn() {
    return RequestLengths.drawn(
        LMSYS_STAND_IN,
        STAND_IN_ROWS,
        LengthDistribution.parse("lognormal:22,1.3"),
        LengthDistribution.parse("mixture:0.15*lognormal:20,1+0.85*exponential:260"),
        row -> row.promptTokens() < LMSYS_PROMPT_LIMIT && row.outputTokens() < LMSYS_OUTPUT_LIMIT);
  }

  /** The Azure conversation trace with its times. */
  public static ArrivalList conversationTrace() {
    try (InputStream packed = ExperimentData.class.getResourceAsStream(CONVERSATION)) {
      if (packed == null) {
        throw new IllegalStateException(
            "resource " + CONVERSATION + " is missing from the class path");
      }
      return TraceReader.read(
              "azure-conversation",
              new InputStreamReader(new GZIPInputStream(packed), StandardCharsets.UTF_8))
          .workload();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (TraceException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The lengths of the conversation trace. */
  public RequestLengths conversationLengths() {
    return RequestLengths.of("Azure conversation", conversation);
  }
}
