//! Asks what delivered lines would cost now, and judges that: hosting by the catalogue, names by `/price`, of which each run
//! asks for some, and the next one goes on there.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{Auditor, Run, Stepped, Unread, count, past, writing};
use crate::{
    audit::{Assessment, assess_price},
    db::{
        DbError,
        audit::{LinePrice, LineToPrice},
    },
    jobs::carry_out_line::to_product,
    order::{
        LineId, LineKind, Money,
        kinds::catalogue::{Choice, Product, choose},
        name::DomainName,
        wish::Wish,
    },
    upstream::ljpc::{Prices, endpoints},
};

/// Lines of hosting that are judged in one step.
const BATCH: i64 = 500;

/// Names in one question.
const NAMES: i64 = 25;

/// Questions of one run.
const QUESTIONS_MAX: u32 = 200;

/// What is no price of anything that is sold here, nor fits where prices are kept.
const PRICE_END: Money = Money(Decimal::from_parts(1_410_065_408, 2, 0, false, 0));

/// What is said when prices could not be asked for.
const GIVEN_UP: &str = "not all prices could be asked for";

impl Auditor {
    /// First hosting, by the ids of its lines; then (`#`) names, from where the last run has left off.
    pub(super) async fn judge_prices(&self, run: Box<Run>) -> Result<Stepped, DbError> {
        match run.row.position.strip_prefix('#').map(str::to_owned) {
            None => self.price_hosting(run).await,
            Some(after) => self.price_names(run, LineId(after.parse().unwrap_or(0))).await,
        }
    }

    async fn price_hosting(&self, mut run: Box<Run>) -> Result<Stepped, DbError> {
        if run.row.position.is_empty() {
            // Before anything may fail: a run that gets no further leaves off where this one began.
            run.figures.priced_to = self.last_figures().await?.priced_to;
        }
        let after = LineId(run.row.position.parse().unwrap_or(0));
        let lines = self.db.lines_to_price(false, after, BATCH).await?;
        let Some(last) = lines.last().map(|last| last.id) else {
            run.row.position = format!("#{}", run.figures.priced_to);
            return self.go_on(run).await;
        };
        let catalogue = match self.catalogue(&run).await {
            Ok(catalogue) => catalogue,
            Err(why) => return self.failed(run, why, GIVEN_UP).await,
        };
        run.figures.answered();
        run.row.position = last.to_string();
        let lines = lines.into_iter().map(|line| {
            let price = hosting_price(&catalogue, &line);
            (line, price)
        });
        self.keep_prices(run, lines.collect()).await
    }

    async fn price_names(&self, mut run: Box<Run>, after: LineId) -> Result<Stepped, DbError> {
        if run.figures.price_questions >= QUESTIONS_MAX {
            return self.go_on(past(run)).await;
        }
        // One name that the upstream can't answer for shall not hide the others: after a failure they are asked for alone.
        let limit = if run.figures.failures == 0 { NAMES } else { 1 };
        let lines = self.db.lines_to_price(true, after, limit).await?;
        let Some(last) = lines.last().map(|last| last.id) else {
            // The next run begins anew.
            run.figures.priced_to = 0;
            return self.go_on(past(run)).await;
        };
        let names: Vec<DomainName> = lines
            .iter()
            .filter_map(|line| line.domain.clone().map(DomainName::from_stored))
            .collect();
        let endpoint = endpoints::PRICE_DOMAIN.name;
        let answer = match self
            .ask(endpoint, self.guest.ljpc().prices(&names.iter().collect::<Vec<_>>()))
            .await
        {
            Ok(answer) => Some(answer),
            Err(why) if lines.len() == 1 && run.passes_over(&why) => None,
            Err(why) => return self.failed(run, why, GIVEN_UP).await,
        };
        if answer.is_some() {
            run.figures.answered();
        }
        run.figures.price_questions = run.figures.price_questions.saturating_add(1);
        run.figures.priced_to = last.0;
        run.row.position = format!("#{last}");
        let lines = lines.into_iter().map(|line| {
            let price = answer.as_ref().and_then(|answer| name_price(answer, &line));
            (line, price)
        });
        self.keep_prices(run, lines.collect()).await
    }

    async fn keep_prices(
        &self,
        mut run: Box<Run>,
        lines: Vec<(LineToPrice, Option<Money>)>,
    ) -> Result<Stepped, DbError> {
        let now = self.now().await?;
        let is_sane = |price: &Money| (Money(Decimal::ZERO)..PRICE_END).contains(price);
        let mut lines = lines;
        for (_, price) in &mut lines {
            *price = price.filter(is_sane);
        }
        let prices: Vec<LinePrice> = lines
            .iter()
            .filter_map(|(line, price)| price.map(|price| LinePrice { id: line.id, price }))
            .collect();
        let judged: Vec<(String, Assessment)> =
            lines.into_iter().map(|(line, price)| judge(line, price, now)).collect();
        let place = self.place(&run);
        let settled = self.db.judge_prices(&place, &judged, &prices, now, writing(&run)).await?;
        failpoint!("audit.priced");
        let Some(settled) = settled else { return Ok(Stepped::Lost) };
        count(&mut run.figures, &settled);
        Ok(Stepped::On(run, settled))
    }

    /// The catalogue, read once for each run.
    async fn catalogue(&self, run: &Run) -> Result<Arc<Vec<Product>>, Unread> {
        let known = self.catalogue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, products)) = known.filter(|(of, _)| *of == run.row.id) {
            return Ok(products);
        }
        let products =
            self.ask(endpoints::LIST_PRODUCTS.name, self.guest.ljpc().products()).await?;
        let products: Arc<Vec<Product>> =
            Arc::new(products.into_iter().filter_map(to_product).collect());
        *self.catalogue.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((run.row.id, Arc::clone(&products)));
        Ok(products)
    }
}

fn judge(line: LineToPrice, price: Option<Money>, now: DateTime<Utc>) -> (String, Assessment) {
    let LineToPrice { priced, last, .. } = line;
    let priced = match price {
        Some(price) => priced.read(price, last, now),
        None => priced,
    };
    let found = assess_price(&priced, now);
    (priced.subject, found)
}

fn hosting_price(catalogue: &[Product], line: &LineToPrice) -> Option<Money> {
    let Ok(Wish::Hosting(wish)) = Wish::parse(line.kind, &line.wish) else { return None };
    match choose(catalogue, &wish, None) {
        Choice::Found { price, .. } => price,
        Choice::Hold(_) | Choice::Fail(_) => None,
    }
}

/// A registration costs a year's price for each of its years; a transfer has one price.
fn name_price(prices: &Prices, line: &LineToPrice) -> Option<Money> {
    let name = DomainName::from_stored(line.domain.clone()?);
    let Money(year) = prices.of(&name)?.price_eur?;
    let years = match Wish::parse(line.kind, &line.wish) {
        Ok(Wish::Register(wish)) if line.kind == LineKind::DomainRegister => wish.years,
        _ => 1,
    };
    year.checked_mul(years.into()).map(Money)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_end_where_the_column_does() {
        assert_eq!(PRICE_END.to_string(), "10000000000.00");
    }
}
