package dev.weir.cli;

import dev.weir.cli.report.Format;
import dev.weir.runtime.gpu.GpuReading;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The state of a GPU on one line. */
final class GpuText {
  private GpuText() {}

  static String of(GpuReading reading) {
    List<String> parts = new ArrayList<>();
    parts.add(
        Format.bytes(reading.memoryUsed())
            + " of "
            + Format.bytes(reading.memoryTotal())
            + " used");
    reading.utilization().ifPresent(percent -> parts.add(percent + " % busy"));
    reading.memoryUtilization().ifPresent(percent -> parts.add("its memory " + percent + " %"));
    reading
        .powerWatts()
        .ifPresent(
            watts ->
                parts.add(
                    watts(watts)
                        + (reading.powerLimitWatts().isPresent()
                            ? " of " + watts(reading.powerLimitWatts().getAsDouble())
                            : "")
                        + " W"));
    reading.temperature().ifPresent(celsius -> parts.add(celsius + " °C"));
    reading.clockMegahertz().ifPresent(clock -> parts.add(clock + " MHz"));
    reading.memoryClockMegahertz().ifPresent(clock -> parts.add("memory " + clock + " MHz"));
    return String.join(", ", parts);
  }

  private static String watts(double watts) {
    return String.format(Locale.ROOT, "%.0f", watts);
  }
}
