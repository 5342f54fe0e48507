package dev.weir.testkit;

import dev.weir.scheduling.SchedulerFactory;
import dev.weir.scheduling.Schedulers;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Prints the report card of the scheduler named first, with the options named after it ({@code
 * capped-fcfs cap=16}); without arguments, those of all schedulers on the class path. Ends with
 * status 1 if a property does not hold, 2 if the arguments are wrong.
 */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    List<SchedulerFactory> factories = Schedulers.all();
    Map<String, String> options = new HashMap<>();
    if (arguments.length > 0) {
      factories = factories.stream().filter(f -> f.name().equals(arguments[0])).toList();
      for (String argument : List.of(arguments).subList(1, arguments.length)) {
        int equals = argument.indexOf('=');
        if (equals < 1) {
          fail("option '" + argument + "' is not of the form name=value");
        }
        options.put(argument.substring(0, equals), argument.substring(equals + 1));
      }
      if (factories.isEmpty()) {
        fail("no scheduler is named '" + arguments[0] + "' on the class path");
      }
    }
    boolean passed = true;
    for (SchedulerFactory factory : factories) {
      ReportCard card = Conformance.of(factory).options(options).run();
      System.out.println(card);
      passed &= card.passed();
    }
    System.exit(passed ? 0 : 1);
  }

  private static void fail(String message) {
    System.err.println(message);
    System.exit(2);
  }
}
