package reconcile

import (
	"regexp"
	"strings"
)

// Invoices of clouds name a meter, which holds the model and the unit, and count
// in thousands or millions of it.

var awsCUR = form{
	provider: AWS, name: "cost and usage report (CUR 2.0)",
	needs: [][]string{
		{"line_item_usage_start_date", "lineitem_usagestartdate"},
		{"line_item_product_code", "lineitem_productcode"},
		{"line_item_usage_type", "lineitem_usagetype"},
		{"line_item_usage_amount", "lineitem_usageamount"},
		{"line_item_unblended_cost", "lineitem_unblendedcost"},
	},
	read: readAWS,
}

// notUsage are types of line items that say nothing about a day's use.
var notUsage = []string{"tax", "credit", "refund", "fee", "rifee"}

func readAWS(r *row, c *collector) error {
	what := r.text("line_item_line_item_type", "lineitem_lineitemtype")
	for _, t := range notUsage {
		if strings.EqualFold(what, t) {
			return nil
		}
	}
	product := strings.Join([]string{
		r.text("line_item_product_code", "lineitem_productcode"), r.text("product", "product_product_name", "product_servicename"),
		r.text("line_item_line_item_description", "lineitem_lineitemdescription"),
	}, " ")
	if !strings.Contains(strings.ToLower(product), "bedrock") {
		return nil
	}
	if err := dollarsOnly(r.text("line_item_currency_code", "lineitem_currencycode")); err != nil {
		return err
	}
	day, err := r.day("line_item_usage_start_date", "lineitem_usagestartdate")
	if err != nil {
		return err
	}
	amount, err := r.number("line_item_usage_amount", "lineitem_usageamount")
	if err != nil {
		return err
	}
	cost, err := r.number("line_item_unblended_cost", "lineitem_unblendedcost")
	if err != nil {
		return err
	}
	meter := r.text("line_item_usage_type", "lineitem_usagetype")
	unit := r.text("pricing_unit")
	if unit == "" && !strings.Contains(meter, "MP:") {
		unit = "1K" // as all of Bedrock's own meters count tokens
	}
	measure := unit + " " + r.text("line_item_line_item_description", "lineitem_lineitemdescription")
	l := meterLine(day, marketplace(meter, r.text("product_product_name", "product")), measure, amount, cost)
	l.Raw = meter
	return c.add(l)
}

// marketplace is the meter with the model in it: those of the marketplace name it
// in the product alone, as "Claude Sonnet 4 (Amazon Bedrock Edition)".
func marketplace(meter, product string) string {
	if _, unit, ok := strings.Cut(meter, "MP:"); ok {
		name, _, _ := strings.Cut(product, "(")
		_, unit, _ = strings.Cut(unit, "_")
		return name + " " + unit
	}
	return meter
}

var azureCost = form{
	provider: Azure, name: "cost export",
	needs: [][]string{
		{"date", "usagedate", "usagedatetime"},
		{"metername", "meter"},
		{"metercategory"},
		{"quantity", "usagequantity"},
		{"costinusd", "costinbillingcurrency", "pretaxcost", "cost"},
	},
	read: readAzure,
}

func readAzure(r *row, c *collector) error {
	about := strings.ToLower(r.text("metercategory") + " " + r.text("metersubcategory") + " " + r.text("productname", "product"))
	if !strings.Contains(about, "openai") && !strings.Contains(about, "foundry") && !strings.Contains(about, "cognitive services") {
		return nil
	}
	day, err := r.day("date", "usagedate", "usagedatetime")
	if err != nil {
		return err
	}
	cost, err := r.number("costinusd")
	if err != nil {
		return err
	}
	if !cost.Stated() {
		if err := dollarsOnly(r.text("billingcurrency", "billingcurrencycode", "currency")); err != nil {
			return err
		}
		if cost, err = r.number("costinbillingcurrency", "pretaxcost", "cost"); err != nil {
			return err
		}
	}
	amount, err := r.number("quantity", "usagequantity")
	if err != nil {
		return err
	}
	meter := r.text("metername", "meter")
	l := meterLine(day, meter, r.text("unitofmeasure")+" "+meter, amount, cost)
	l.Raw = meter
	return c.add(l)
}

// meterUnits tell the unit by a word of the meter; the first that fits.
var meterUnits = []struct {
	word *regexp.Regexp
	unit Unit
}{
	{regexp.MustCompile(`(?i)cache[-_ ]?write`), CacheWrite},
	{regexp.MustCompile(`(?i)cache|\bcch`), CacheRead},
	{regexp.MustCompile(`(?i)image|\bimg\b`), Image},
	{regexp.MustCompile(`(?i)search`), Search},
	{regexp.MustCompile(`(?i)outp|output|\bout\b|\bopt\b|response`), Output},
	{regexp.MustCompile(`(?i)inp|input`), Input},
	{regexp.MustCompile(`(?i)token`), Input}, // embeddings
}

var (
	region = regexp.MustCompile(`^[A-Z]{2,4}[0-9]?-`)
	// meterWords are the words of a meter that are not the model's name.
	meterWords = regexp.MustCompile(`(?i)\b(input|inpt|inp|output|outpt|outp|out|opt|cached|cache|cchd|cch|read|write|response|tokens?|count|tokencount|inputtokencount|outputtokencount|cachereadinputtokencount|cachewriteinputtokencount|units?|glbl|global|regnl|rgnl|regional|data|zone|dz|dzone|batch|flex|priority|cross|region|[0-9]+[km]|mp|on|demand|text|standard)\b`)
	monthDay   = regexp.MustCompile(`\b(0[1-9]|1[0-2])[0-3][0-9]\b`) // of a version, as 0806
	million    = regexp.MustCompile(`(?i)\b1 ?m\b|million`)
	thousand   = regexp.MustCompile(`(?i)\b1 ?k\b|thousand|\b1,?000\b`)
)

// meterLine takes a meter apart. measure tells in what it counts.
func meterLine(day, meter, measure string, amount, cost Decimal) Line {
	l := Line{Day: day, Unit: CostOnly, Cost: cost}
	for _, m := range meterUnits {
		if m.word.MatchString(meter) {
			l.Unit = m.unit
			break
		}
	}
	name := region.ReplaceAllString(meter, "")
	name = strings.NewReplacer("-", " ", "_", " ", ":", " ").Replace(name)
	name = monthDay.ReplaceAllString(meterWords.ReplaceAllString(name, " "), " ")
	l.Model = Normalise(strings.Join(strings.Fields(name), "-"))
	if l.Unit == CostOnly {
		return l
	}
	switch tokens := l.Unit != Image && l.Unit != Search; {
	case million.MatchString(measure):
		amount = amount.Times(1_000_000)
	case thousand.MatchString(measure) || tokens && strings.Contains(strings.ToLower(measure), "1k"):
		amount = amount.Times(1000)
	}
	l.Quantity = amount
	return l
}
