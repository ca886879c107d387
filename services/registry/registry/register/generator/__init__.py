"""A made-up register that adds up to the published figures, for demos, tests and benchmarks.

Published figures, kept exactly for the default count and in proportion for any other:
- end of November 2025: 65,315 cooperatives, 788,969 members, 272,583 women and 18,036 young members
  (lematin.ma);
- October 2025: 7,891 women-only cooperatives with more than 73,000 members (agritechmea.com);
- end of 2019: agriculture 64.5 %, handicrafts 18 %, housing 4 %, the rest spread; of the women-only
  cooperatives agriculture 39 %, handicrafts 36 %, argan 17 % (leseco.ma);
- cooperatives alive at four dates: 27,262 (2019), 40,531 (March 2021), 60,000 (March 2025), 65,315;
- 1,500 youth cooperatives (lavieeco.com, 2023); 15 % inactive (maghress.com, for 2010);
- population of the 75 provinces: census of 2024, Haut-Commissariat au Plan.

Everything else is an assumption, as `figures` says beside its numbers. One of them matters for
sums: a published total is the total of known values. A cooperative whose count is unknown has an
empty cell and adds nothing, so each column of the file adds up to its published total. Which values
are unknown is drawn before the values are, so it does not depend on them.

The file is the same, byte for byte, for the same count and seed under the locked numpy. A register
of more than 65,315 is drawn in equal parts, each of which keeps the figures in proportion, so that
the memory it takes does not grow with it; register numbers are chronological within each part.

Every row is marked: `is_test_data` is "yes", `consent_source` is "generated test data", phones lie
in +212 600 xxxxxx, e-mails under .example, ICE numbers start with 99 and presidents are numbered.
Morocco reserves no telephone numbers for fiction, so never send to a row that carries the mark.
"""
